//! The table itself: one row per construct.

use super::Area::{Aggregate, Expression, Join, Query, Security, Source};
use super::Capability;
use super::Support::{FullOnly, Maintained, NotImmediate, Refused};

macro_rules! capabilities {
    ($($code:ident: $area:ident, $title:literal, $support:expr, $example:literal;)*) => {
        $(
            #[doc = $title]
            pub static $code: Capability = Capability {
                code: stringify!($code),
                area: $area,
                title: $title,
                support: $support,
                example: $example,
            };
        )*
        /// Every construct, in the order of the documentation.
        pub static ALL: &[&Capability] = &[$(&$code),*];
    };
}

capabilities! {
    TABLE: Source, "tables, with and without keys",
        Maintained { how: "changes are captured by statement triggers" },
        "SELECT a, b FROM t";
    PARTITIONED_TABLE: Source, "partitioned tables",
        Maintained { how: "changes of all partitions are captured at the root and at every leaf" },
        "SELECT a, b FROM p";
    INHERITANCE: Source, "parents of inheritance trees",
        Maintained { how: "changes of all children are captured" },
        "SELECT a FROM parent";
    VIEW: Source, "views, also nested",
        Maintained { how: "expanded to the tables below" },
        "SELECT a FROM v";
    SINGLE_ROW: Source, "queries without FROM",
        Maintained { how: "a constant row" },
        "SELECT 1 AS one";
    SUBQUERY: Source, "subqueries in FROM",
        Maintained { how: "as part of the query, with its own state when it aggregates" },
        "SELECT s.a FROM (SELECT a FROM t WHERE b > 0) s";
    CTE: Source, "common table expressions",
        Maintained { how: "every reference is a separate subquery" },
        "WITH s AS (SELECT a FROM t) SELECT a FROM s";
    TEMP_TABLE: Source, "temporary tables",
        Refused {
            reason: "a temporary table is private to one session",
            remedy: "use a permanent table",
        },
        "SELECT a FROM temporary";
    CATALOG_TABLE: Source, "system catalogs and the extension's own tables",
        Refused {
            reason: "changes of system catalogs cannot be captured",
            remedy: "copy what is needed into a table",
        },
        "SELECT relname::text AS name FROM pg_catalog.pg_class";
    SELF_REFERENCE: Source, "a stream table that reads itself",
        Refused {
            reason: "the stream table would depend on its own content",
            remedy: "read the sources",
        },
        "";
    FOREIGN_TABLE: Source, "foreign tables",
        Maintained { how: "each refresh reads them and compares them with their stored image, in O(n)" },
        "SELECT a FROM foreign_table";
    MATERIALIZED_VIEW: Source, "materialized views",
        Maintained { how: "each refresh reads them and compares them with their stored image, in O(n)" },
        "SELECT a FROM mv";
    FOREIGN_PARTITION: Source, "partitioned tables and parents with foreign tables below them",
        FullOnly {
            reason: "changes on the foreign server cannot be captured here",
            remedy: "read the foreign table and the local ones separately, with UNION ALL",
        },
        "SELECT a, b FROM p_foreign";
    UNLOGGED_TABLE: Source, "unlogged tables",
        FullOnly {
            reason: "a crash empties an unlogged table, and no trigger fires",
            remedy: "use a logged table: ALTER TABLE … SET LOGGED",
        },
        "SELECT a FROM unlogged_table";
    INHERITANCE_ONLY: Source, "ONLY over a parent of partitions or children",
        Maintained { how: "captured row by row, with the table of each row" },
        "SELECT a FROM ONLY parent";
    INHERITANCE_SHARED_CHILD: Source, "parents whose child has several parents",
        Maintained { how: "captured row by row in each table of the tree" },
        "SELECT a FROM parent_of_shared";
    SUBSCRIBED_TABLE: Source, "targets of subscriptions and of other replication",
        Maintained { how: "row triggers capture copied and applied rows" },
        "";
    CITUS_LOCAL_SHARD: Source, "Citus reference tables, and local tables that Citus manages, where this node has their rows",
        Maintained { how: "captured and read in this node's shard" },
        "";
    CITUS_SHARD_LOCAL: Source, "distributed Citus tables, joined and grouped by their distribution columns",
        Maintained { how: "by the nodes that hold the shards: a stream table for each group of shards" },
        "";
    CITUS_TWO_STEPS: Source, "distributed Citus tables, grouped by other columns; in `DIFFERENTIAL`, joined by others",
        Maintained { how: "in two steps: nodes maintain what is local to their shards, the coordinator combines it" },
        "";
    CITUS_DISTRIBUTED_TABLE: Source, "distributed Citus tables in any other query",
        FullOnly {
            reason: "its rows are in shards on the workers, and a result row combines several shards",
            remedy: "join, group and partition by the distribution columns of co-located tables, and show one of them",
        },
        "";
    CITUS_IMAGES: Source, "distributed Citus tables, joined by other columns or aggregated in other ways, in `AUTO`",
        FullOnly {
            reason: "it needs images of tables on the coordinator, which only DIFFERENTIAL makes",
            remedy: "use refresh_mode DIFFERENTIAL, which copies the rows and columns that the query reads to the coordinator",
        },
        "";
    CITUS_REFERENCE_TABLE: Source, "Citus reference tables of which this node has no copy or that no other rule covers",
        FullOnly {
            reason: "its rows are in a shard on each node, whose changes fire no trigger of the table",
            remedy: "add the coordinator to the nodes of the cluster: citus_set_coordinator_host",
        },
        "";
    CITUS_LOCAL_TABLE: Source, "local tables that Citus manages, joined to distributed ones",
        FullOnly {
            reason: "its rows are in a shard on the coordinator, whose changes fire no trigger of the table",
            remedy: "make it a reference table: create_reference_table",
        },
        "";
    CITUS_UNPLANNED: Source, "queries over Citus tables that Citus itself does not plan, where no other rule maintains them",
        Refused {
            reason: "Citus has no plan for it, so it cannot be recomputed either",
            remedy: "write it as a query that Citus runs: join distributed tables by their distribution columns, and move subqueries from expressions to FROM or WITH",
        },
        "";
    CITUS_NOT_IMMEDIATE: Source, "Citus tables in an IMMEDIATE stream table",
        NotImmediate {
            reason: "other nodes, and other sessions on their behalf, write to its shards",
            remedy: "use refresh_mode DIFFERENTIAL or AUTO",
        },
        "";
    INHERITANCE_CHILD: Source, "children of inheritance trees",
        Maintained { how: "captured row by row, whether a statement names the child or a parent" },
        "SELECT a FROM child";
    PARTITION: Source, "a single partition",
        Maintained { how: "captured row by row, including writes through the partitioned table and moves between partitions" },
        "SELECT a FROM p_2026";
    HYPERTABLE_PART: Source, "single chunks of hypertables, and ONLY over one",
        FullOnly {
            reason: "changes are captured at the hypertable, whose statements do not say which chunk a row went to",
            remedy: "read the hypertable with a condition on its time",
        },
        "";
    APART_NOT_IMMEDIATE: Source, "tables captured row by row (a partition, a child, ONLY over a parent, tableoid, a stored generated column of a \
                                  partitioned table whose partitions have other column orders) in an IMMEDIATE stream table",
        NotImmediate {
            reason: "row triggers capture its changes in the middle of a statement",
            remedy: "read the topmost parent with all its children, or use refresh_mode DIFFERENTIAL",
        },
        "";
    SET_RETURNING_FUNCTION: Source, "functions in FROM, also set-returning, WITH ORDINALITY, ROWS FROM",
        Maintained { how: "computed for each changed row of their input" },
        "SELECT t.a, u.x FROM t, unnest(t.arr) u(x)";
    SET_RETURNING_OUTPUT: Source, "set-returning functions in the select list",
        Maintained { how: "computed for each changed row" },
        "SELECT a, unnest(arr) AS x FROM t";
    SET_RETURNING_KEY: Aggregate, "set-returning functions in GROUP BY",
        Maintained { how: "the function's rows are computed, then grouped" },
        "SELECT unnest(arr) AS x, count(*) FROM t GROUP BY 1";
    TABLE_FUNCTION: Source, "XMLTABLE and JSON_TABLE",
        Maintained { how: "computed for each changed row of their input" },
        "SELECT t.a, x.b FROM t, JSON_TABLE(t.j, '$[*]' COLUMNS (b int PATH '$.b')) x";
    VALUES: Source, "VALUES lists",
        Maintained { how: "constant rows, or computed for each changed row of their input" },
        "SELECT x FROM (VALUES (1), (2)) v(x)";
    LATERAL: Source, "lateral subqueries",
        Maintained { how: "as a join; if it compares outer values by more than equality, with the set of those values" },
        "SELECT t.a, s.m FROM t, LATERAL (SELECT max(b) AS m FROM u WHERE u.a = t.a) s";
    TABLESAMPLE: Source, "TABLESAMPLE",
        FullOnly {
            reason: "the rows do not determine a sample",
            remedy: "filter by a hash of the key",
        },
        "SELECT a FROM t TABLESAMPLE SYSTEM (10)";
    RECURSIVE_CTE: Source, "recursive common table expressions",
        Maintained {
            how: "changes are propagated round by round; under UNION, rows that a deletion removes return if they can still be derived",
        },
        "WITH RECURSIVE r AS (SELECT a FROM t WHERE b IS NULL UNION SELECT t.a FROM r JOIN t ON t.b = r.a) SELECT a FROM r";
    RECURSIVE_CTE_WHOLE: Source, "other recursive common table expressions: anything but joins of up to five tables, and UNION of types whose equal values can look different",
        Maintained {
            how: "computed whole when one of their tables changes, or, with conditions on the time, at each refresh, and compared with a stored image, in O(n)",
        },
        "WITH RECURSIVE r AS (SELECT max(a) AS n FROM t UNION ALL SELECT n - 1 FROM r WHERE n > 0) SELECT n FROM r";
    RECURSIVE_CTE_OUTSIDE: Source, "recursive common table expressions that read columns or CTEs of an outer query",
        FullOnly {
            reason: "it is computed whole, so it must read nothing outside",
            remedy: "move the WITH RECURSIVE to the outermost query, begin it with the rows outside, carry their key through it, and join or group by that key",
        },
        "SELECT a, (WITH RECURSIVE r AS (SELECT t.a AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT max(n) FROM r) AS m FROM t";

    INNER_JOIN: Join, "inner joins of any number, also self, cross and non-equi joins",
        Maintained { how: "one term per non-empty set of changed inputs" },
        "SELECT t.a, u.b FROM t JOIN u ON u.id = t.u_id";
    OUTER_JOIN: Join, "LEFT, RIGHT and FULL joins",
        Maintained { how: "a row is padded with NULLs, or no longer, when its number of matches crosses zero" },
        "SELECT t.a, u.b FROM t LEFT JOIN u ON u.id = t.u_id";
    OUTER_JOIN_SUBQUERY: Join, "subqueries over both sides in the ON condition of a FULL JOIN",
        FullOnly {
            reason: "its value depends on a pair of rows, not on one side",
            remedy: "join the subquery's tables instead, or let it read one side only",
        },
        "SELECT t.a, u.b FROM t FULL JOIN u ON t.a = u.a AND EXISTS (SELECT FROM v WHERE v.a = t.a AND v.b = u.b)";

    FILTER: Expression, "WHERE",
        Maintained { how: "applied to the changes" },
        "SELECT a FROM t WHERE b > 0";
    PROJECTION: Expression, "immutable expressions",
        Maintained { how: "applied to the changes" },
        "SELECT a + b AS c, upper(d) AS e FROM t";
    TIME_FILTER: Expression, "comparisons with the current time, as conjuncts of WHERE",
        Maintained { how: "rows enter and leave as the bound passes them; an index on the column makes that cheap" },
        "SELECT a FROM t WHERE ts > now() - interval '1 hour'";
    TIME_CONDITION: Expression, "comparisons with the current time anywhere else: in CASE, FILTER, an aggregate, GROUP BY, OR, IS TRUE, ON",
        Maintained { how: "the rows that the bound passes are recomputed; an index on the column makes that cheap" },
        "SELECT a, CASE WHEN ts < now() - interval '1 hour' THEN 'old' ELSE 'new' END AS age, count(*) FILTER (WHERE ts::date = current_date) AS today FROM t GROUP BY 1, 2";
    TIME_VALUE: Expression, "values that stay the same for a day at least: `current_date`, `date_trunc('month', now())`",
        Maintained { how: "joined to the rows; when the value changes, at most once a day, all rows are recomputed" },
        "SELECT a, current_date - ts::date AS days FROM t";
    TIME_STEP: Expression, "values that change with the time in steps: whole numbers, dates and text, and what `extract` of a unit, `floor`, `round`, `trunc` and `date_trunc` make",
        Maintained {
            how: "computed for each row at the last and at this refresh's time, in O(n); rows whose value changed are changed",
        },
        "SELECT a, extract(day FROM now() - ts) AS days, (extract(epoch FROM now() - ts) / 3600)::int AS hours FROM t";
    SETTINGS: Expression, "functions whose results depend only on arguments and settings: of times with time zone, text search, money; output of values",
        Maintained { how: "the stream table keeps the settings of the session that creates it; every writer and refresh uses them" },
        "SELECT a, date_trunc('day', ts) AS day, ts::date AS d, to_char(ts, 'YYYY-MM') AS month FROM t";
    TEXT_OF_TIME: Expression, "text read as a date or time: `txt::date`, `(j ->> 'at')::timestamptz`, `list::date[]`, and by jsonb_to_record, jsonb_populate_record, JSON_TABLE and JSON_VALUE, also of several rows",
        Maintained {
            how: "as long as no value, and no short string in a JSON document read this way, says now, today, tomorrow or yesterday; \
                  while one does, AUTO runs the query; in other modes the refresh, or with IMMEDIATE the statement, fails with 22018",
        },
        "SELECT a, ('2026-01-1' || substr(d, 2))::date AS day, (j ->> 'at')::timestamptz AS at FROM t";
    MOMENT: Expression, "values that are others at every moment: the time itself, and ages to the microsecond",
        FullOnly {
            reason: "it is another value at every moment, so that each refresh would change all rows",
            remedy: "keep the time in the stream table, and compute the age in a view over it: SELECT *, now() - ts AS age; or take it in steps, extract(day FROM now() - ts), or as a condition, now() - ts < interval '1 hour'",
        },
        "SELECT a, now() - ts AS age FROM t";
    STABLE_FUNCTION: Expression, "functions that read the session or catalogs",
        FullOnly {
            reason: "its value changes with the session or the catalogs, not with the rows",
            remedy: "store the value in a column; cast fields of JSON, (j ->> 'at')::date; write the query of a function that reads tables in its place; declare one that reads nothing but its arguments IMMUTABLE",
        },
        "SELECT a, d = current_user AS own FROM t";
    VOLATILE_FUNCTION: Expression, "volatile functions",
        FullOnly {
            reason: "each call may return a different value",
            remedy: "store the value in a column; declare the function IMMUTABLE if it is",
        },
        "SELECT a, random() FROM t";
    FAILING_EXPRESSION: Expression, "expressions that fail at creation on rows that the query does not reach",
        FullOnly {
            reason: "a subquery is computed for all rows, including those that no outer row needs, and an expression fails on one of them",
            remedy: "make the expression succeed on every row (10 / nullif(x, 0)), or exclude such rows in WHERE inside the subquery",
        },
        "";
    EXISTS: Expression, "EXISTS and NOT EXISTS, anywhere in an expression",
        Maintained { how: "as a semi or anti join, or as a mark on each row" },
        "SELECT a FROM t WHERE EXISTS (SELECT FROM u WHERE u.a = t.a)";
    IN_SUBQUERY: Expression, "IN, NOT IN, ANY and ALL over a subquery, of one or several columns",
        Maintained { how: "as EXISTS, in three-valued logic" },
        "SELECT a FROM t WHERE a NOT IN (SELECT b FROM u)";
    SCALAR_SUBQUERY: Expression, "scalar subqueries and comparisons of rows with them",
        Maintained { how: "as a join with its groups, or with the set of the outer values that it reads" },
        "SELECT a, (SELECT max(b) FROM u WHERE u.a = t.a) AS m FROM t";
    ARRAY_SUBQUERY: Expression, "ARRAY (SELECT …)",
        Maintained { how: "as array_agg over the subquery" },
        "SELECT a, ARRAY (SELECT b FROM u WHERE u.a = t.a ORDER BY b) AS bs FROM t";
    TABLE_COLUMN: Expression, "tableoid",
        Maintained { how: "captured row by row, with the table of each row" },
        "SELECT tableoid::regclass AS part, count(*) AS n FROM p GROUP BY 1";
    SYSTEM_COLUMN: Expression, "system columns except tableoid",
        FullOnly {
            reason: "captured rows have no system columns",
            remedy: "select ordinary columns",
        },
        "SELECT a, xmin::text AS x FROM t";
    WHOLE_ROW: Expression, "whole rows: t, t.*, row_to_json(t)",
        Maintained { how: "as a row of all columns; added, dropped and renamed columns are followed" },
        "SELECT id, to_jsonb(u) AS j, u FROM u";
    REPEATED_FIELD: Expression, "rows of unnamed type with repeated field names",
        FullOnly {
            reason: "the engine writes a row by its field names, which must differ",
            remedy: "give the columns different names",
        },
        "SELECT row_to_json(s) AS j FROM (t JOIN u ON u.id = t.u_id) AS s";
    VIRTUAL_GENERATED_COLUMN: Expression, "virtual generated columns",
        Maintained { how: "replaced by their expression" },
        "SELECT id, v FROM g";
    RECORD: Expression, "values of type record",
        FullOnly {
            reason: "a row of unnamed type cannot be stored",
            remedy: "use single columns, or cast the row to a composite type",
        },
        "SELECT (s.r).f1 FROM (SELECT ROW(a, b) AS r FROM t) s";
    UNPRINTABLE_OPERATOR: Expression, "row comparisons with operators of extensions",
        FullOnly {
            reason: "SQL names one operator for all columns of a row comparison, and the operator of a type outside pg_catalog needs a different name",
            remedy: "compare the columns one by one",
        },
        "SELECT id, ROW(id, name) < ROW(1, 'x'::citext) AS below FROM c";
    UNSURE_EQUALITY: Expression, "types of extensions under a nondeterministic collation, such as citext",
        FullOnly {
            reason: "the type's order follows the collation, its equality may not, so joins and groups can depend on the plan",
            remedy: "use text under that collation, or the type under a deterministic one",
        },
        "SELECT id, name COLLATE loose AS name FROM c";
    JSON_VALUE: Expression, "JSON_VALUE with RETURNING json or jsonb, on servers that keep the NULL of an earlier row",
        FullOnly {
            reason: "after a row whose path finds nothing, this server shows NULL for later rows, too, so the result depends on the order of rows",
            remedy: "use JSON_QUERY, or RETURNING text and a cast",
        },
        "SELECT id, JSON_VALUE(j, '$[0].b' RETURNING jsonb) AS v FROM t";
    JSON_DEFAULT: Expression, "SQL/JSON functions with a default (DEFAULT, EMPTY, TRUE or FALSE, ON EMPTY or ON ERROR) over a \
                               document that may be NULL, on servers that keep the default of an earlier row; JSON_EXISTS with a lax path that raises no error is maintained",
        FullOnly {
            reason: "after a row that took its default, this server shows the default for later rows without a document, too, so the result depends on the order of rows",
            remedy: "declare the document NOT NULL, or write CASE WHEN j IS NOT NULL THEN JSON_VALUE(j, …) END",
        },
        "SELECT id, JSON_VALUE(j, '$.b' DEFAULT 'none' ON EMPTY) AS v FROM t";
    CYCLE_MARK: Query, "marks of CYCLE that are neither boolean nor a number: CYCLE a SET looped TO 'Y' DEFAULT 'N'",
        Refused {
            reason: "PostgreSQL prints such a query in a form that it does not read, so a dump could not be restored",
            remedy: "mark by true and false, and name the marks outside: CASE WHEN looped THEN 'Y' ELSE 'N' END",
        },
        "WITH RECURSIVE c(a) AS (SELECT a FROM t UNION ALL SELECT t.b FROM t JOIN c ON t.a = c.a) CYCLE a SET looped TO 'Y' DEFAULT 'N' USING path SELECT a, looped FROM c";
    UNKNOWN_CONSTRUCT: Expression, "unknown constructs",
        FullOnly {
            reason: "the analysis does not know it",
            remedy: "use refresh_mode FULL, and report the query",
        },
        "";

    GROUP_BY: Aggregate, "GROUP BY, also by expressions",
        Maintained { how: "a state table with one row per group; only touched groups change" },
        "SELECT a, count(*) FROM t GROUP BY a";
    HAVING: Aggregate, "HAVING",
        Maintained { how: "applied to the groups' changes" },
        "SELECT a FROM t GROUP BY a HAVING count(*) > 1";
    COUNT: Aggregate, "count",
        Maintained { how: "added up" },
        "SELECT count(*) AS n, count(b) AS bs FROM t";
    SUM_AVG: Aggregate, "sum and avg over integers and numeric",
        Maintained { how: "added up exactly" },
        "SELECT sum(b), avg(b) FROM t";
    MIN_MAX: Aggregate, "min and max",
        Maintained { how: "compared with new rows; recomputed when the extremum leaves" },
        "SELECT a, min(b), max(b) FROM t GROUP BY a";
    BOOL_AGGREGATE: Aggregate, "bool_and, bool_or, every",
        Maintained { how: "by counting true and false inputs" },
        "SELECT a, bool_or(b > 3) AS some FROM t GROUP BY a";
    RECOMPUTED_AGGREGATE: Aggregate, "every other aggregate, also user-defined",
        Maintained { how: "touched groups are recomputed from the sources" },
        "SELECT a, string_agg(d, ',' ORDER BY d) AS ds FROM t GROUP BY a";
    FILTERED_AGGREGATE: Aggregate, "FILTER",
        Maintained { how: "applied to the changes" },
        "SELECT count(*) FILTER (WHERE b > 0) FROM t";
    DISTINCT_AGGREGATE: Aggregate, "DISTINCT inside aggregates",
        Maintained { how: "by the distinct values of each group" },
        "SELECT a, count(DISTINCT b) FROM t GROUP BY a";
    ORDERED_INPUT: Aggregate, "aggregates over rows that get an order elsewhere: in a view, beside a join, deeper inside, by a column that an aggregated row does not show",
        FullOnly {
            reason: "the order of a subquery's rows is not maintained",
            remedy: "order inside the aggregate, array_agg(x ORDER BY y), or show in the subquery what it sorts by",
        },
        "SELECT json_agg(s) AS j FROM (SELECT a FROM t ORDER BY b) s";
    ORDERED_SET: Aggregate, "ordered-set and hypothetical-set aggregates, with direct arguments of the group and of rows outside",
        Maintained { how: "touched groups are recomputed from the sources" },
        "SELECT a, percentile_disc(abs(a) % 10 / 10.0) WITHIN GROUP (ORDER BY b) AS p FROM t GROUP BY a";
    DIRECT_ARGUMENT: Aggregate, "ordered-set aggregates whose direct argument has a subquery or a condition on the time",
        FullOnly {
            reason: "the server computes the argument above the grouping, where a delta has no place for them",
            remedy: "join the subquery in FROM, and group by its value",
        },
        "SELECT a, percentile_disc((SELECT max(b) / 1000.0 FROM u)) WITHIN GROUP (ORDER BY b) AS p FROM t GROUP BY a";
    KEY_OF_PARENT: Aggregate, "columns that depend on the grouped primary key of a parent with children",
        FullOnly {
            reason: "rows of its children may share the key, and the server shows any of their values",
            remedy: "group by the column, too, or read ONLY the parent",
        },
        "SELECT id, v FROM family GROUP BY id";
    UNSORTABLE_KEY: Aggregate, "grouping by types without an order",
        FullOnly {
            reason: "a group's key needs a btree index, and the type has no default btree operator class, or its equality says HASHES and has no hash function, so that joins fail which the server plans by hashing",
            remedy: "group by another form of the value, such as a cast to text",
        },
        "SELECT x, count(*) FROM w GROUP BY x";
    GROUPING_SETS: Aggregate, "GROUPING SETS, ROLLUP, CUBE, grouping()",
        Maintained { how: "one grouping for each set" },
        "SELECT a, b, grouping(a, b) AS g, count(*) FROM t GROUP BY ROLLUP (a, b)";
    TOO_MANY_GROUPING_SETS: Aggregate, "more than 64 grouping sets",
        FullOnly {
            reason: "each set has its own state",
            remedy: "use fewer sets, or split the query",
        },
        "SELECT count(*) FROM t GROUP BY CUBE (id, u_id, a, b, d, ts, arr)";
    WINDOW_FUNCTION: Aggregate, "window functions and window aggregates, with any frame",
        Maintained {
            how: "touched partitions are recomputed; without PARTITION BY the rows that a change affects: those \
                  after it for running totals, its neighbours for lag, lead and frames of a fixed number of ROWS; all rows otherwise, and if an ORDER BY column contains NULL",
        },
        "SELECT a, rank() OVER (PARTITION BY a ORDER BY b) FROM t";

    DISTINCT: Query, "SELECT DISTINCT",
        Maintained { how: "by counting duplicates" },
        "SELECT DISTINCT a FROM t";
    UNION_ALL: Query, "UNION ALL",
        Maintained { how: "as the changes of all arms" },
        "SELECT a FROM t UNION ALL SELECT a FROM u";
    ORDER_BY: Query, "ORDER BY without LIMIT",
        Maintained {
            how: "ignored: a table has no order; but aggregates take over that of a subquery or CTE which is alone in FROM",
        },
        "SELECT a FROM t ORDER BY a";
    SET_OPERATION: Query, "UNION, INTERSECT, EXCEPT, also ALL, nested in any way",
        Maintained { how: "by counting the rows of each side" },
        "SELECT a FROM t EXCEPT SELECT a FROM u";
    DISTINCT_ON: Query, "DISTINCT ON",
        Maintained { how: "the first rows of touched keys are recomputed" },
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b";
    LIMIT: Query, "LIMIT, FETCH FIRST, WITH TIES and OFFSET, also in subqueries",
        Maintained { how: "the first rows are stored; an index in their order makes them cheap to find again" },
        "SELECT a FROM t ORDER BY a LIMIT 10";
    LIMIT_VALUE: Query, "LIMIT and OFFSET by the value of a subquery",
        Maintained { how: "rows are numbered in the order, and those within the bounds kept" },
        "SELECT a, b FROM t ORDER BY a, b LIMIT (SELECT count(*) / 2 FROM u)";
    LIMIT_EXPRESSION: Query, "FETCH … WITH TIES of a number that is not constant",
        FullOnly {
            reason: "the number of rows is unknown before the query runs",
            remedy: "write a number, or number the rows with rank() and compare",
        },
        "SELECT a FROM t ORDER BY a FETCH FIRST (SELECT count(*) FROM u) ROWS WITH TIES";
    TIES: Query, "LIMIT, OFFSET, DISTINCT ON, window functions and ordered aggregates over ties of ORDER BY",
        Maintained {
            how: "every mode continues the order by the columns that are read, then by their images; explain_st shows which",
        },
        "SELECT a, b FROM t ORDER BY a LIMIT 10";
    UNSETTLED_ORDER: Query, "ties whose peers matter: a frame that ends at, or excludes, rows equal in the order; \
                             two orders over equal rows; WITH TIES after OFFSET; LIMIT over UNION ALL of equal values that look different; ties in a view",
        FullOnly {
            reason: "a longer order would change which rows are peers, and with them the frame; a view's query is not changed",
            remedy: "add columns to ORDER BY until no two rows are equal in it, such as a primary key, or use a frame of ROWS",
        },
        "SELECT a, array_agg(b) OVER (ORDER BY a) AS list FROM t";
    CANNOT_UNNEST: Query, "outer joins and subqueries that compare a value of a type without an order by other than equality; json, jsonpath and geometric types are maintained",
        FullOnly {
            reason: "the state stores the distinct outer values that decide on a match; the type \
                     of one has no default btree operator class, and its text is not known to be read as the same value (for geometric types: extra_float_digits is below 1)",
            remedy: "use an inner join, also instead of EXISTS, store such values in columns of a type with an order, or use refresh_mode FULL",
        },
        "SELECT w.x, t.id FROM w LEFT JOIN t ON w.x = t.a";
    TOO_MANY_LEVELS: Query, "queries of more than 1000 subqueries",
        FullOnly {
            reason: "views and CTEs are expanded at every reference, and there are too many",
            remedy: "turn an often used view into a stream table",
        },
        "";
    ROW_MARKS: Query, "FOR UPDATE and FOR SHARE",
        Refused {
            reason: "row locks have no meaning in a stored query",
            remedy: "remove the clause",
        },
        "SELECT s.a FROM (SELECT a FROM t FOR UPDATE) s";

    CHANGES_UNTOLD: Query, "content that changes without a statement: by the clock, in foreign tables and materialized views",
        NotImmediate {
            reason: "the content changes without a statement on a table of this database",
            remedy: "use the clock and foreign tables in queries over the stream table instead, or refresh_mode DIFFERENTIAL",
        },
        "";
    ROW_POLICY: Security, "tables with row security whose policies read only columns of the row",
        Maintained { how: "the policies filter captured rows before the query sees them" },
        "";
    ROW_POLICY_NOT_IMMEDIATE: Security, "tables with row security in an IMMEDIATE stream table",
        NotImmediate {
            reason: "policies change without a statement on the table",
            remedy: "use refresh_mode DIFFERENTIAL, or let a role that bypasses the policies own the stream table",
        },
        "";
    ROW_SECURITY: Security, "tables with row security that a view or a recursion reads, or whose policies read other tables, the session or the clock",
        FullOnly {
            reason: "the visible rows depend on policies, not only on the rows",
            remedy: "let a role that bypasses the policies own the stream table",
        },
        "";
    PRIVILEGE_THROUGH_VIEW: Security, "tables that only a view may read",
        FullOnly {
            reason: "the owner of the stream table may read the view, but not its table",
            remedy: "GRANT SELECT on the table to the owner of the stream table",
        },
        "";
}
