-- Everything about the extension's objects, one property a row: object, property, value. OIDs are left out.
WITH members AS (
    SELECT d.classid, d.objid, o.type || ' ' || o.identity AS object
    FROM pg_depend d, pg_extension e, pg_identify_object(d.classid, d.objid, 0) o
    WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      AND e.extname = 'pg_trickle'
), relations AS (
    -- Composite types have their columns in a relation of their own.
    SELECT m.object, c.* FROM members m
    JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
    UNION ALL
    SELECT m.object, c.* FROM members m
    JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
    JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
)
SELECT object, 'is a member', '' FROM members
UNION ALL
SELECT m.object, 'comment', d.description FROM members m
JOIN pg_description d ON d.classoid = m.classid AND d.objoid = m.objid AND d.objsubid = 0
UNION ALL
SELECT m.object, 'initial privileges', format('%s %s', p.privtype, p.initprivs) FROM members m
JOIN pg_init_privs p ON p.classoid = m.classid AND p.objoid = m.objid AND p.objsubid = 0
UNION ALL
SELECT m.object, 'needs', format('%s %s', d.deptype, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid))
FROM members m JOIN pg_depend d ON d.classid = m.classid AND d.objid = m.objid
WHERE d.refclassid <> 'pg_extension'::regclass
UNION ALL
SELECT m.object, 'definition', pg_get_functiondef(p.oid) || p.probin FROM members m
JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
UNION ALL
SELECT m.object, 'definition', pg_get_functiondef(p.oid) FROM members m
JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid AND p.probin IS NULL
UNION ALL
SELECT m.object, 'owner and privileges', format('%s %s', p.proowner::regrole, p.proacl) FROM members m
JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
UNION ALL
SELECT m.object, 'owner and privileges', format('%s %s', n.nspowner::regrole, n.nspacl) FROM members m
JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
UNION ALL
SELECT m.object, 'type', format('%s %s %s', t.typtype, t.typowner::regrole, t.typacl) FROM members m
JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
UNION ALL
SELECT m.object, 'event trigger', format('%s %s %s %s %s', t.evtevent, t.evtowner::regrole, t.evtfoid::regprocedure,
                                         t.evtenabled, t.evttags) FROM members m
JOIN pg_event_trigger t ON m.classid = 'pg_event_trigger'::regclass AND t.oid = m.objid
UNION ALL
SELECT object, 'relation', format('%s %s %s %s %s %s %s', relkind, relpersistence, relowner::regrole, relacl,
                                  reloptions, relreplident, relrowsecurity) FROM relations
UNION ALL
SELECT object, 'view', pg_get_viewdef(oid) FROM relations WHERE relkind = 'v'
UNION ALL
SELECT r.object, format('column %s', a.attnum),
       format('%s %s, not null: %s, dropped: %s, default: %s, %s %s %s %s, privileges: %s, comment: %s', a.attname,
              format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attisdropped, pg_get_expr(d.adbin, d.adrelid),
              a.attcollation::regcollation, a.attstorage, a.attidentity, a.attgenerated, a.attacl,
              col_description(a.attrelid, a.attnum))
FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT r.object, format('constraint %s', c.conname), pg_get_constraintdef(c.oid)
FROM relations r JOIN pg_constraint c ON c.conrelid = r.oid
UNION ALL
SELECT r.object, 'index', pg_get_indexdef(i.indexrelid) FROM relations r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL
SELECT r.object, 'trigger', pg_get_triggerdef(t.oid) FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid
UNION ALL
SELECT r.object, 'rule', pg_get_ruledef(w.oid) FROM relations r JOIN pg_rewrite w ON w.ev_class = r.oid
UNION ALL
SELECT r.object, 'sequence', format('%s %s %s %s %s %s %s', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin,
                                    seqcache, seqcycle) FROM relations r JOIN pg_sequence s ON s.seqrelid = r.oid
UNION ALL
SELECT 'the extension', 'version', extversion FROM pg_extension WHERE extname = 'pg_trickle'
UNION ALL
SELECT 'the extension', 'itself', format('%s %s %s', extowner::regrole, extnamespace::regnamespace, extrelocatable)
FROM pg_extension WHERE extname = 'pg_trickle'
UNION ALL
SELECT 'the extension', 'is dumped', format('%s %s', c.config::regclass, extcondition[c.at])
FROM pg_extension, unnest(extconfig) WITH ORDINALITY c (config, at) WHERE extname = 'pg_trickle'
ORDER BY 1, 2, 3
