"""Functions of the second migration: promises under a version that another site gave.

As those of `first_promises`, which processes of the release before go on calling.
"""

from typing import Final

REPLICA_PROMISES: Final = """
CREATE FUNCTION is_superseded(of_bucket bytea, of_key bytea, of_stamp bigint, of_site text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT FROM objects o WHERE o.bucket = of_bucket AND o.key = of_key
            AND (o.stamp, o.site) >= (of_stamp, of_site COLLATE "C"))
        OR EXISTS (SELECT FROM tombstones t WHERE t.bucket = of_bucket AND t.key = of_key
            AND (t.stamp, t.site) >= (of_stamp, of_site COLLATE "C"));
END $$;

CREATE FUNCTION promise_replica(
    shared bigint[], alone bigint[], durable boolean,
    buckets bytea[], keys bytea[], stamps bigint[], sites text[], ends bigint[], uploads bytea[],
    matches text[], none_matches text[], alones boolean[], intents bytea[]
) RETURNS TABLE (outcome text, there bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    w record;
    live record;
BEGIN
    IF NOT durable THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    PERFORM take(shared, alone);
    FOR w IN SELECT * FROM unnest(buckets, keys, stamps, sites, ends, uploads, matches,
            none_matches, alones, intents)
        AS t(bucket, key, stamp, site, ends, upload, match, none_match, alone, intent)
    LOOP
        outcome := NULL; there := NULL;
        IF NOT EXISTS (SELECT FROM buckets b WHERE b.name = w.bucket) THEN
            outcome := 'no bucket';
        ELSIF is_superseded(w.bucket, w.key, w.stamp, w.site) THEN
            outcome := 'superseded';
        ELSIF EXISTS (SELECT FROM intents i WHERE i.bucket = w.bucket AND i.key = w.key
                AND ((i.stamp = w.stamp AND i.site = w.site) OR (w.alone AND i.alone))) THEN
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
            INSERT INTO intents
                VALUES (w.bucket, w.key, w.stamp, w.site, w.ends, w.alone, w.intent);
            outcome := 'done';
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE FUNCTION promise_replica_again(
    shared bigint[], alone bigint[], durable boolean,
    buckets bytea[], keys bytea[], stamps bigint[], sites text[], old_ends bigint[], ends bigint[],
    matches text[], none_matches text[], turns boolean[], alones boolean[], intents bytea[]
) RETURNS TABLE (outcome text, there bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    w record;
    live record;
BEGIN
    IF NOT durable THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    PERFORM take(shared, alone);
    FOR w IN SELECT * FROM unnest(buckets, keys, stamps, sites, old_ends, ends, matches,
            none_matches, turns, alones, intents)
        AS t(bucket, key, stamp, site, old_ends, ends, match, none_match, turn, alone, intent)
    LOOP
        outcome := NULL; there := NULL;
        IF NOT EXISTS (SELECT FROM intents i WHERE i.bucket = w.bucket AND i.key = w.key
                AND i.stamp = w.stamp AND i.site = w.site AND i.expires = w.old_ends) THEN
            outcome := 'lost';
        ELSIF w.turn THEN
            IF is_superseded(w.bucket, w.key, w.stamp, w.site) THEN
                outcome := 'superseded';
            ELSIF EXISTS (SELECT FROM intents i
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
            UPDATE intents i SET expires = w.ends, alone = w.alone, intent = w.intent
                WHERE i.bucket = w.bucket AND i.key = w.key AND i.stamp = w.stamp
                AND i.site = w.site AND i.expires = w.old_ends;
            outcome := CASE WHEN FOUND THEN 'done' ELSE 'lost' END;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
"""
