"""The fifth migration: a fingerprint of each row, and the index by which ranges are compared.

That of a tombstone the server computes itself, as `backends.fingerprint` does: its version is made
here. That of an object comes with it, so `settle` takes one argument more. The function of that
name that processes of the release before call writes none: it is then taken where it is first
asked for (see `ranges`), as is that of rows written before.
"""

from typing import Final

FINGERPRINTS: Final = r"""
CREATE FUNCTION tombstone_fingerprint(key bytea, stamp bigint, site text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || encode(substr(sha256(
        convert_to(lpad(to_hex(stamp), 16, '0') || '-' || site, 'UTF8') || '\x00000000' || key
    ), 1, 8), 'hex'))::bit(64)::bigint
$$;

ALTER TABLE tombstones ADD COLUMN fingerprint bigint
    GENERATED ALWAYS AS (tombstone_fingerprint(key, stamp, site)) STORED;
CREATE INDEX tombstones_by_fingerprint ON tombstones (bucket, key, stamp, fingerprint);

ALTER TABLE objects ADD COLUMN fingerprint bigint;
CREATE INDEX objects_by_fingerprint ON objects (bucket, key, stamp, fingerprint);
CREATE INDEX objects_without_fingerprint ON objects (bucket, key) WHERE fingerprint IS NULL;

-- Put an object in the place of the live one, if any, and of the tombstone.
CREATE FUNCTION put_object(
    w_bucket bytea, w_key bytea, w_stamp bigint, w_site text, w_size bigint, w_etag text,
    w_owner text, w_class text, w_algorithm text, w_kind text, w_locator text, w_facts bytea,
    w_fingerprint bigint, replaces boolean, unburies boolean
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF replaces THEN
        UPDATE objects o SET stamp = w_stamp, site = w_site, size = w_size, etag = w_etag,
                owner = w_owner, storage_class = w_class, algorithm = w_algorithm,
                checksum_kind = w_kind, locator = w_locator, facts = w_facts,
                fingerprint = w_fingerprint
            WHERE o.bucket = w_bucket AND o.key = w_key;
        RETURN;
    END IF;
    IF unburies THEN
        DELETE FROM tombstones t WHERE t.bucket = w_bucket AND t.key = w_key;
    END IF;
    INSERT INTO objects VALUES (w_bucket, w_key, w_stamp, w_site, w_size, w_etag, w_owner,
        w_class, w_algorithm, w_kind, w_locator, w_facts, w_fingerprint);
END $$;

CREATE OR REPLACE FUNCTION put_row(
    w_bucket bytea, w_key bytea, w_stamp bigint, w_site text, w_size bigint, w_etag text,
    w_owner text, w_class text, w_algorithm text, w_kind text, w_locator text, w_facts bytea,
    w_deleted boolean, replaces boolean, unburies boolean
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM put_object(w_bucket, w_key, w_stamp, w_site, w_size, w_etag, w_owner, w_class,
        w_algorithm, w_kind, w_locator, w_facts, NULL, replaces, unburies);
END $$;

CREATE FUNCTION settle(
    shared bigint[], alone bigint[], subscriptions_lock bigint, outbox_lock bigint, now bigint,
    buckets bytea[], keys bytea[], stamps bigint[], sites text[], sizes bigint[], etags text[],
    owners text[], classes text[], algorithms text[], kinds text[], locators text[],
    factses bytea[], deleteds boolean[], events bytea[], old_stamps bigint[], old_sites text[],
    old_ends bigint[], matches text[], none_matches text[], uploads bytea[], overwrotes boolean[],
    fingerprints bigint[]
) RETURNS TABLE (outcome text, there_locator text, there bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    w record;
    live record;
    newest record;
    heard boolean;
BEGIN
    PERFORM take(shared, alone);
    FOR w IN SELECT * FROM unnest(buckets, keys, stamps, sites, sizes, etags, owners, classes,
            algorithms, kinds, locators, factses, deleteds, events, old_stamps, old_sites,
            old_ends, matches, none_matches, uploads, overwrotes, fingerprints)
        AS t(bucket, key, stamp, site, size, etag, owner, class, algorithm, kind, locator, facts,
            deleted, event, old_stamp, old_site, old_ends, match, none_match, upload, overwrote,
            fingerprint)
    LOOP
        outcome := NULL; there_locator := NULL; there := NULL;
        SELECT o.stamp, o.site, o.etag, o.locator, o.facts INTO live FROM objects o
            WHERE o.bucket = w.bucket AND o.key = w.key
            ORDER BY o.stamp DESC, o.site DESC LIMIT 1;
        newest := live;
        IF live.stamp IS NULL THEN
            SELECT t.stamp, t.site INTO newest FROM tombstones t
                WHERE t.bucket = w.bucket AND t.key = w.key;
        END IF;
        IF NOT EXISTS (SELECT FROM buckets b WHERE b.name = w.bucket) THEN
            outcome := 'no bucket';
        ELSIF newest.stamp = w.stamp AND newest.site = w.site THEN
            outcome := 'again';
        ELSIF forbids(w.match, w.none_match, live.etag) THEN
            outcome := 'forbidden'; there := live.facts;
        ELSIF (newest.stamp, newest.site COLLATE "C") > (w.stamp, w.site COLLATE "C") THEN
            outcome := 'older';
        ELSIF w.old_ends IS NOT NULL THEN
            DELETE FROM intents i WHERE i.bucket = w.bucket AND i.key = w.key
                AND i.stamp = w.old_stamp AND i.site = w.old_site AND i.expires = w.old_ends;
            IF NOT FOUND THEN
                outcome := 'lost';
            END IF;
        END IF;
        IF outcome IN ('forbidden', 'older') AND w.old_ends IS NOT NULL AND NOT EXISTS (
                SELECT FROM intents i WHERE i.bucket = w.bucket AND i.key = w.key
                AND i.stamp = w.old_stamp AND i.site = w.old_site AND i.expires = w.old_ends) THEN
            outcome := 'lost';
        END IF;
        IF outcome IS NULL THEN
            IF w.old_stamp IS DISTINCT FROM w.stamp OR w.old_site IS DISTINCT FROM w.site THEN
                DELETE FROM intents i WHERE i.bucket = w.bucket AND i.key = w.key
                    AND i.stamp = w.stamp AND i.site = w.site;
            END IF;
            IF w.deleted THEN
                PERFORM put_tombstone(w.bucket, w.key, w.stamp, w.site, now);
            ELSE
                PERFORM put_object(w.bucket, w.key, w.stamp, w.site, w.size, w.etag, w.owner,
                    w.class, w.algorithm, w.kind, w.locator, w.facts, w.fingerprint,
                    live.stamp IS NOT NULL, newest.stamp IS NOT NULL);
            END IF;
            IF NOT w.overwrote AND live.locator <> '' AND live.locator <> w.locator THEN
                INSERT INTO discards VALUES (w.bucket, w.key, live.locator, now)
                    ON CONFLICT (bucket, key, locator) DO UPDATE SET since = excluded.since;
            END IF;
            IF w.upload IS NOT NULL THEN
                DELETE FROM uploads u
                    WHERE u.bucket = w.bucket AND u.key = w.key AND u.name = w.upload;
                DELETE FROM parts p WHERE p.upload = w.upload;
            END IF;
            IF w.event IS NOT NULL THEN
                heard := coalesce(heard, is_heard(subscriptions_lock, outbox_lock));
                IF heard THEN
                    INSERT INTO outbox (bucket, key, stamp, site, event)
                        VALUES (w.bucket, w.key, w.stamp, w.site, w.event);
                END IF;
            END IF;
            outcome := 'done'; there_locator := live.locator; there := live.facts;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
"""
