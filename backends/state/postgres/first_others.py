"""Functions of the first migration for buckets, uploads and the outbox; see `first_promises`."""

from typing import Final

OTHERS: Final = """
CREATE FUNCTION delete_bucket(bucket_lock bigint, gone bytea)
RETURNS TABLE (outcome text, ended bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(bucket_lock);
    IF EXISTS (SELECT FROM objects o WHERE o.bucket = gone) THEN
        RETURN QUERY SELECT 'not empty', NULL::bytea;
        RETURN;
    END IF;
    DELETE FROM buckets b WHERE b.name = gone;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'no bucket', NULL::bytea;
        RETURN;
    END IF;
    DELETE FROM parts p USING uploads u WHERE u.bucket = gone AND p.upload = u.name;
    RETURN QUERY DELETE FROM uploads u WHERE u.bucket = gone RETURNING 'done', u.upload;
END $$;

CREATE FUNCTION create_upload(
    bucket_lock bigint, in_bucket bytea, of_key bytea, called bytea, began bigint, told bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(bucket_lock);
    IF NOT EXISTS (SELECT FROM buckets b WHERE b.name = in_bucket) THEN
        RETURN false;
    END IF;
    INSERT INTO uploads VALUES (in_bucket, of_key, called, began, told)
        ON CONFLICT (bucket, key, name) DO UPDATE
        SET started = excluded.started, upload = excluded.upload;
    RETURN true;
END $$;

-- Bucket and key are shared: a part is put beside others, but not while its upload ends.
CREATE FUNCTION put_part(
    shared bigint[], in_bucket bytea, of_key bytea, called bytea, of_number integer, told bytea
) RETURNS TABLE (outcome text, replaced bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM take(shared, '{}');
    IF NOT EXISTS (SELECT FROM uploads u
            WHERE u.bucket = in_bucket AND u.key = of_key AND u.name = called) THEN
        RETURN QUERY SELECT 'no upload', NULL::bytea;
        RETURN;
    END IF;
    LOOP
        SELECT p.part INTO replaced FROM parts p
            WHERE p.upload = called AND p.number = of_number FOR UPDATE;
        IF FOUND THEN
            UPDATE parts p SET part = told WHERE p.upload = called AND p.number = of_number;
            EXIT;
        END IF;
        INSERT INTO parts VALUES (called, of_number, told) ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
    END LOOP;
    outcome := 'done';
    RETURN NEXT;
END $$;

CREATE FUNCTION delete_upload(key_lock bigint, in_bucket bytea, of_key bytea, called bytea)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(key_lock);
    DELETE FROM uploads u WHERE u.bucket = in_bucket AND u.key = of_key AND u.name = called;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM parts p WHERE p.upload = called;
    RETURN true;
END $$;

-- Alone: every write that began before has ended, so no event is left out or left behind.
CREATE FUNCTION subscribe(subscriptions_lock bigint, reader text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(subscriptions_lock);
    INSERT INTO subscriptions
        SELECT reader, CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM outbox_sequence_seq s
        ON CONFLICT DO NOTHING;
END $$;

-- Drop what every group is done with; all of it where nobody subscribes.
CREATE FUNCTION trim_outbox() RETURNS void LANGUAGE sql AS $$
    DELETE FROM outbox WHERE sequence <= coalesce(
        (SELECT min(s.cursor) FROM subscriptions s), 9223372036854775807)
$$;

CREATE FUNCTION unsubscribe(subscriptions_lock bigint, reader text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(subscriptions_lock);
    PERFORM 1 FROM subscriptions s ORDER BY s.name FOR UPDATE;
    DELETE FROM subscriptions s WHERE s.name = reader;
    PERFORM trim_outbox();
END $$;

CREATE FUNCTION acknowledge(readers text[], sequences bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM subscriptions s ORDER BY s.name FOR UPDATE;
    UPDATE subscriptions s SET cursor = greatest(s.cursor, t.sequence)
        FROM unnest(readers, sequences) AS t(reader, sequence) WHERE s.name = t.reader;
    PERFORM trim_outbox();
END $$;
"""
