"""Functions of the first migration: each write is one call, answered by outcomes, not by errors.

A call carries many writes as arrays of one length. It takes the locks it is given, in their order,
then does one write after the other; a write that cannot be done does nothing and says why. Each
statement in a function sees what was committed before it (READ COMMITTED), so what is read behind
a lock is current.
"""

from typing import Final

SHARED: Final = """
CREATE FUNCTION take(shared bigint[], alone bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(id) FROM unnest(shared) AS id;
    PERFORM pg_advisory_xact_lock(id) FROM unnest(alone) AS id;
END $$;

-- Whether a condition forbids a write; `there` is the live object's ETag, null where none is.
CREATE FUNCTION forbids(match text, none_match text, there text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT (match <> '' AND (there IS NULL OR match NOT IN ('*', there)))
        OR (none_match <> '' AND there IS NOT NULL AND none_match IN ('*', there))
$$;

CREATE FUNCTION stamp_above(of_bucket bytea, of_key bytea, lowest bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN greatest(
        lowest,
        1 + (SELECT max(o.stamp) FROM objects o WHERE o.bucket = of_bucket AND o.key = of_key),
        1 + (SELECT t.stamp FROM tombstones t WHERE t.bucket = of_bucket AND t.key = of_key),
        1 + (SELECT max(i.stamp) FROM intents i WHERE i.bucket = of_bucket AND i.key = of_key));
END $$;
"""

PROMISES: Final = """
CREATE FUNCTION promise(
    shared bigint[], alone bigint[], durable boolean, here text,
    buckets bytea[], keys bytea[], stamps bigint[], ends bigint[], uploads bytea[],
    matches text[], none_matches text[], alones boolean[], intents bytea[]
) RETURNS TABLE (outcome text, promised bigint, there bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    w record;
    live record;
BEGIN
    IF NOT durable THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    PERFORM take(shared, alone);
    FOR w IN SELECT * FROM unnest(buckets, keys, stamps, ends, uploads, matches, none_matches,
            alones, intents)
        AS t(bucket, key, stamp, ends, upload, match, none_match, alone, intent)
    LOOP
        outcome := NULL; promised := NULL; there := NULL;
        IF NOT EXISTS (SELECT FROM buckets b WHERE b.name = w.bucket) THEN
            outcome := 'no bucket';
        ELSIF w.alone AND EXISTS (SELECT FROM intents i
                WHERE i.bucket = w.bucket AND i.key = w.key AND i.alone) THEN
            outcome := 'busy';
        ELSIF w.upload IS NOT NULL AND NOT EXISTS (SELECT FROM uploads u
                WHERE u.bucket = w.bucket AND u.key = w.key AND u.name = w.upload) THEN
            outcome := 'no upload';
        ELSIF w.match <> '' OR w.none_match <> '' THEN
            SELECT o.etag, o.facts INTO live FROM objects o
                WHERE o.bucket = w.bucket AND o.key = w.key
                ORDER BY o.stamp DESC, o.site DESC LIMIT 1;
            IF forbids(w.match, w.none_match, live.etag) THEN
                outcome := 'forbidden'; there := live.facts;
            END IF;
        END IF;
        IF outcome IS NULL THEN
            promised := stamp_above(w.bucket, w.key, w.stamp);
            INSERT INTO intents VALUES (w.bucket, w.key, promised, here, w.ends, w.alone, w.intent);
            outcome := 'done';
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE FUNCTION promise_again(
    shared bigint[], alone bigint[], durable boolean, here text,
    buckets bytea[], keys bytea[], old_stamps bigint[], old_sites text[], old_ends bigint[],
    stamps bigint[], ends bigint[], matches text[], none_matches text[],
    turns boolean[], alones boolean[], intents bytea[]
) RETURNS TABLE (outcome text, promised bigint, there bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    w record;
    live record;
BEGIN
    IF NOT durable THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    PERFORM take(shared, alone);
    FOR w IN SELECT * FROM unnest(buckets, keys, old_stamps, old_sites, old_ends, stamps, ends,
            matches, none_matches, turns, alones, intents)
        AS t(bucket, key, old_stamp, old_site, old_ends, stamp, ends, match, none_match, turn,
            alone, intent)
    LOOP
        outcome := NULL; promised := NULL; there := NULL;
        IF NOT EXISTS (SELECT FROM intents i WHERE i.bucket = w.bucket AND i.key = w.key
                AND i.stamp = w.old_stamp AND i.site = w.old_site AND i.expires = w.old_ends) THEN
            outcome := 'lost';
        ELSIF w.turn THEN
            IF EXISTS (SELECT FROM intents i
                    WHERE i.bucket = w.bucket AND i.key = w.key AND i.alone) THEN
                outcome := 'busy';
            ELSIF w.match <> '' OR w.none_match <> '' THEN
                SELECT o.etag, o.facts INTO live FROM objects o
                    WHERE o.bucket = w.bucket AND o.key = w.key
                    ORDER BY o.stamp DESC, o.site DESC LIMIT 1;
                IF forbids(w.match, w.none_match, live.etag) THEN
                    outcome := 'forbidden'; there := live.facts;
                END IF;
            END IF;
        END IF;
        IF outcome IS NULL THEN
            promised := stamp_above(w.bucket, w.key, w.stamp);
            UPDATE intents i SET stamp = promised, site = here, expires = w.ends,
                    alone = w.alone, intent = w.intent
                WHERE i.bucket = w.bucket AND i.key = w.key AND i.stamp = w.old_stamp
                AND i.site = w.old_site AND i.expires = w.old_ends;
            outcome := CASE WHEN FOUND THEN 'done' ELSE 'lost' END;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
"""
