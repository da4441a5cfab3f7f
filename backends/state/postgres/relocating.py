"""Functions of the third migration: the bytes of a row that stays as it is are stored anew.

As those of `replica_promises`, but of a version that is here already, and one at a time.
"""

from typing import Final

RELOCATING: Final = """
CREATE FUNCTION is_current(of_bucket bytea, of_key bytea, of_stamp bigint, of_site text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT FROM objects o WHERE o.bucket = of_bucket AND o.key = of_key
            AND o.stamp = of_stamp AND o.site = of_site)
        AND NOT EXISTS (SELECT FROM objects o WHERE o.bucket = of_bucket AND o.key = of_key
            AND (o.stamp, o.site) > (of_stamp, of_site COLLATE "C"))
        AND NOT EXISTS (SELECT FROM tombstones t WHERE t.bucket = of_bucket AND t.key = of_key
            AND (t.stamp, t.site) >= (of_stamp, of_site COLLATE "C"));
END $$;

CREATE FUNCTION forbidding_facts(
    of_bucket bytea, of_key bytea, match text, none_match text
) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    live record;
BEGIN
    SELECT o.etag, o.facts INTO live FROM objects o
        WHERE o.bucket = of_bucket AND o.key = of_key
        ORDER BY o.stamp DESC, o.site DESC LIMIT 1;
    RETURN CASE WHEN forbids(match, none_match, live.etag) THEN live.facts END;
END $$;

CREATE FUNCTION promise_relocation(
    shared bigint[], alone bigint[], durable boolean, of_bucket bytea, of_key bytea,
    of_stamp bigint, of_site text, ends bigint, of_upload bytea, match text, none_match text,
    turn boolean, promised bytea
) RETURNS TABLE (outcome text, there bytea) LANGUAGE plpgsql AS $$
BEGIN
    IF NOT durable THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    PERFORM take(shared, alone);
    outcome := 'done';
    IF NOT EXISTS (SELECT FROM buckets b WHERE b.name = of_bucket) THEN
        outcome := 'no bucket';
    ELSIF NOT is_current(of_bucket, of_key, of_stamp, of_site) THEN
        outcome := 'superseded';
    ELSIF EXISTS (SELECT FROM intents i WHERE i.bucket = of_bucket AND i.key = of_key
            AND ((i.stamp = of_stamp AND i.site = of_site) OR (turn AND i.alone))) THEN
        outcome := 'busy';
    ELSIF of_upload IS NOT NULL AND NOT EXISTS (SELECT FROM uploads u
            WHERE u.bucket = of_bucket AND u.key = of_key AND u.name = of_upload) THEN
        outcome := 'no upload';
    ELSE
        there := forbidding_facts(of_bucket, of_key, match, none_match);
        IF there IS NOT NULL THEN
            outcome := 'forbidden';
        ELSE
            INSERT INTO intents
                VALUES (of_bucket, of_key, of_stamp, of_site, ends, turn, promised);
        END IF;
    END IF;
    RETURN NEXT;
END $$;

CREATE FUNCTION relocate_alone(
    shared bigint[], alone bigint[], of_bucket bytea, of_key bytea, of_stamp bigint,
    of_site text, old_ends bigint, ends bigint, match text, none_match text, promised bytea
) RETURNS TABLE (outcome text, there bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM take(shared, alone);
    outcome := 'done';
    IF NOT EXISTS (SELECT FROM intents i WHERE i.bucket = of_bucket AND i.key = of_key
            AND i.stamp = of_stamp AND i.site = of_site AND i.expires = old_ends) THEN
        outcome := 'lost';
    ELSIF NOT is_current(of_bucket, of_key, of_stamp, of_site) THEN
        outcome := 'superseded';
    ELSIF EXISTS (SELECT FROM intents i
            WHERE i.bucket = of_bucket AND i.key = of_key AND i.alone) THEN
        outcome := 'busy';
    ELSE
        there := forbidding_facts(of_bucket, of_key, match, none_match);
        IF there IS NOT NULL THEN
            outcome := 'forbidden';
        ELSE
            UPDATE intents i SET expires = ends, alone = true, intent = promised
                WHERE i.bucket = of_bucket AND i.key = of_key AND i.stamp = of_stamp
                AND i.site = of_site;
        END IF;
    END IF;
    RETURN NEXT;
END $$;

CREATE FUNCTION relocate(
    shared bigint[], alone bigint[], now bigint, of_bucket bytea, of_key bytea, of_stamp bigint,
    of_site text, to_locator text, old_ends bigint, overwrote boolean
) RETURNS TABLE (outcome text, there_locator text, there bytea) LANGUAGE plpgsql AS $$
DECLARE
    current boolean;
BEGIN
    PERFORM take(shared, alone);
    outcome := 'done';
    current := is_current(of_bucket, of_key, of_stamp, of_site);
    SELECT o.locator, o.facts INTO there_locator, there FROM objects o
        WHERE o.bucket = of_bucket AND o.key = of_key AND o.stamp = of_stamp AND o.site = of_site;
    IF NOT EXISTS (SELECT FROM buckets b WHERE b.name = of_bucket) THEN
        outcome := 'no bucket';
    ELSIF NOT (current AND there_locator = to_locator) AND NOT EXISTS (SELECT FROM intents i
            WHERE i.bucket = of_bucket AND i.key = of_key AND i.stamp = of_stamp
            AND i.site = of_site AND i.expires = old_ends) THEN
        outcome := 'lost';
    ELSIF NOT current THEN
        outcome := 'older';
    ELSE
        DELETE FROM intents i WHERE i.bucket = of_bucket AND i.key = of_key
            AND i.stamp = of_stamp AND i.site = of_site;
        UPDATE objects o SET locator = to_locator WHERE o.bucket = of_bucket
            AND o.key = of_key AND o.stamp = of_stamp AND o.site = of_site;
        IF NOT overwrote AND there_locator <> '' AND there_locator <> to_locator THEN
            INSERT INTO discards VALUES (of_bucket, of_key, there_locator, now)
                ON CONFLICT (bucket, key, locator) DO UPDATE SET since = excluded.since;
        END IF;
    END IF;
    RETURN NEXT;
END $$;
"""
