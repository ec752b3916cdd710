//! No setting of a session changes what a stream table holds: every setting of the server that a session can change
//! is given other values there, which writes and refreshes, over columns of every family of types. And what each stable
//! function of the server reads is known.

use std::collections::BTreeSet;

use harness::client::{Session, quote_ident, quote_literal};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::run;
use harness::oracle::Question;
use harness::postgres::major;

/// What the server's stable functions read: the one table of the extension that a test compares with the server.
const READS: &str = include_str!("../../extension/src/pg/reads.txt");

const SETUP: &str = "
CREATE EXTENSION pg_trickle;
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE pair AS (f float8, at timestamptz);
CREATE TABLE v (
    id int PRIMARY KEY, f4 float4, f8 float8, n numeric, by bytea, tz timestamptz, ts timestamp, d date, tm time, tt timetz, i interval,
    m money, t text, j json, jb jsonb, x xml, ia int[], ta text[], fa float8[], p point, bx box, u uuid, ip inet, bits bit varying,
    tv tsvector, r numrange, fr tstzrange, e mood, c pair, k int);
CREATE INDEX ON v USING gin (ia);
CREATE FUNCTION fill(first int, last int) RETURNS void LANGUAGE sql SET TimeZone = 'UTC' SET search_path = public, pg_catalog AS $$
    INSERT INTO v SELECT g, g / 3.0, g / 7.0, g / 9.0, pg_catalog.decode('00ff5c27', 'hex'),
        timestamptz '2024-03-30 22:30+00' + g * interval '50 minutes', timestamp '2024-03-30 22:30' + g * interval '50 minutes',
        date '2024-02-01' + g, time '10:00' + g * interval '7 minutes', timetz '10:00:00+02', make_interval(days => -g, hours => g),
        g::numeric::money, 'O''Re' || E'\\\\' || g, '{\"a\": 0.1}', '{\"b\": [1, null]}', xmlelement(name e, g), ARRAY[g, NULL], ARRAY['NULL', NULL, 'a b'],
        ARRAY[g / 3.0], point(g / 3.0, g), box(point(0, 0), point(g / 7.0, 1)), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', B'1011',
        to_tsvector('english', 'quick foxes'), numrange(g, g + 1), tstzrange('2024-01-01 00:00+00', NULL), 'low',
        ROW(g / 3.0, timestamptz '2024-03-31 01:30+00')::pair, g % 3 FROM generate_series(first, last) g $$;
SELECT fill(1, 6)";

/// Stream tables by name; all of them are also made IMMEDIATE, with another name.
const QUERIES: &[(&str, &str)] = &[
    (
        "printed",
        "SELECT id, f4::text AS f4, f8::text AS f8, by::text AS by, p::text AS p, bx::text AS bx, fa::text AS fa, quote_ident(t) AS t, jb::text AS jb, n::text AS n FROM v",
    ),
    (
        "shaped",
        "SELECT id, to_jsonb(f8) AS j, concat(f8, by) AS c, xmlelement(name e, by)::text AS x, age(tz, timestamptz '2024-03-01 00:00+00') AS age, format('%s %I', f8, t) AS f FROM v",
    ),
    (
        "constants",
        r#"SELECT id FROM v WHERE tz > '2024-03-31 01:00' AND d > '02/03/2024' AND i < '1 day -02:00' AND ta && '{"a b",NULL}' AND m > '1.00' AND by <> 'a\\b' AND t <> 'a\b'"#,
    ),
    (
        "grouped",
        "SELECT f8::text AS f, by::text AS b, count(*) AS n, jsonb_agg(f4 ORDER BY id) AS j FROM v GROUP BY 1, 2",
    ),
    (
        "joined",
        "SELECT a.id, b.id AS other, a.p::text AS p FROM v a JOIN v b ON a.f8::text = b.f8::text AND a.k = b.k",
    ),
    (
        "indexed",
        "SELECT id, count(*) AS n FROM v WHERE ia @> ARRAY[2] OR ia && '{3,4,5}' GROUP BY id",
    ),
    (
        "fields",
        "SELECT id, c, (c).f::text AS f, r, fr, e, x::text AS x, tv FROM v",
    ),
];

/// Settings that are not flipped, and why not.
const LEFT_ALONE: &[(&str, &str)] = &[
    ("allow_in_place_tablespaces", "about files"),
    ("backtrace_functions", "names functions of the server"),
    ("client_encoding", "what the client reads"),
    ("createrole_self_grant", "about roles"),
    ("debug_discard_caches", "takes minutes"),
    ("default_table_access_method", "names an access method"),
    ("default_tablespace", "names a tablespace"),
    ("default_transaction_read_only", "writes are refused then"),
    ("dynamic_library_path", "about files"),
    ("exit_on_error", "ends the session with its first error"),
    ("extension_control_path", "about files"),
    ("extension_destdir", "about files"),
    ("idle_in_transaction_session_timeout", "ends the session"),
    ("idle_session_timeout", "ends the session"),
    ("is_superuser", "not a setting of its own"),
    ("lc_messages", "names a locale of the machine"),
    ("local_preload_libraries", "loads libraries"),
    ("lock_timeout", "ends statements"),
    ("log_statement_stats", "excludes other settings"),
    ("max_stack_depth", "ends statements"),
    ("role", "who somebody is"),
    ("seed", "not a setting of its own"),
    ("session_authorization", "who somebody is"),
    ("session_preload_libraries", "loads libraries"),
    ("statement_timeout", "ends statements"),
    ("temp_file_limit", "ends statements"),
    ("temp_tablespaces", "names tablespaces"),
    ("transaction_deferrable", "of a transaction"),
    ("transaction_isolation", "of a transaction"),
    ("transaction_read_only", "writes are refused then"),
    ("transaction_timeout", "ends transactions"),
    (
        "wal_consistency_checking",
        "needs what the server was not started with",
    ),
    ("output_plugin_libraries", "loads libraries"),
    (
        "session_replication_role",
        "says which triggers fire: scenario triggers_off",
    ),
    ("zero_damaged_pages", "about damaged files"),
];

/// Values of settings that are texts.
const TEXTS: &[(&str, &[&str])] = &[
    ("application_name", &["x"]),
    ("DateStyle", &["SQL, DMY", "German", "Postgres, MDY"]),
    (
        "TimeZone",
        &["Asia/Kolkata", "America/New_York", "<-08>+08"],
    ),
    ("default_text_search_config", &["pg_catalog.simple"]),
    ("lc_monetary", &["C", "POSIX"]),
    ("log_min_messages", &["error", "debug1"]),
    ("lc_numeric", &["POSIX"]),
    ("lc_time", &["POSIX"]),
    (
        "restrict_nonsystem_relation_kind",
        &["view, \"foreign-table\""],
    ),
    ("search_path", &["pg_catalog, public", "''"]),
    ("timezone_abbreviations", &["Australia"]),
];

/// The settings that a session can change, with values other than the present one.
async fn flips(session: &Session) -> Vec<(String, String)> {
    let rows = session
        .rows(
            "SELECT name, vartype, setting, enumvals::text[]::text, min_val, max_val, array_to_string(enumvals, ',')
             FROM pg_settings WHERE context IN ('user', 'superuser') ORDER BY name",
        )
        .await
        .unwrap();
    let mut flips = Vec::new();
    for row in rows {
        let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let (name, kind, present) = (cell(0), cell(1), cell(2));
        if LEFT_ALONE.iter().any(|(left, _)| *left == name) {
            continue;
        }
        let values: Vec<String> = match kind.as_str() {
            "bool" => vec![if present == "on" { "off" } else { "on" }.to_owned()],
            "enum" => cell(6).split(',').map(str::to_owned).collect(),
            "string" => {
                let known = TEXTS.iter().find(|(known, _)| *known == name);
                let Some((_, values)) = known else {
                    panic!(
                        "setting {name} is not known here: list what it may be, or why it is left alone"
                    );
                };
                values.iter().map(|value| (*value).to_owned()).collect()
            }
            _ => vec![cell(4), numeric_in_between(&cell(4), &cell(5))],
        };
        let others = values.into_iter().filter(|value| *value != present);
        flips.extend(others.map(|value| (name.clone(), value)));
    }
    flips
}

/// A number that is neither the least nor too large to be harmless.
fn numeric_in_between(least: &str, most: &str) -> String {
    let least: f64 = least.parse().unwrap_or(0.0);
    let most: f64 = most.parse().unwrap_or(0.0);
    (least + 3.0).min(most).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_setting_of_a_session_changes_what_a_stream_table_holds() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let admin = Session::connect(&cluster, "postgres").await.unwrap();
    run(&admin, SETUP).await;
    let mut names = Vec::new();
    for (name, query) in QUERIES {
        for (prefix, mode) in [("d_", "DIFFERENTIAL"), ("i_", "IMMEDIATE")] {
            let stream_table = format!("{prefix}{name}");
            let sql = format!(
                "SELECT pgtrickle.create_stream_table({}, {}, refresh_mode => '{mode}')",
                quote_literal(&stream_table),
                quote_literal(query)
            );
            run(&admin, &sql).await;
            names.push(stream_table);
        }
    }
    let flips = flips(&admin).await;
    assert!(flips.len() > 150, "only {} settings", flips.len());
    let mut next = 7;
    for (number, (name, value)) in flips.iter().enumerate() {
        let shown = format!("{name} = {value}");
        let other = Session::connect(&cluster, "postgres").await.unwrap();
        let set = format!("SET {} = {}", quote_ident(name), text_or_list(name, value));
        if let Err(error) = other.execute(&set).await {
            // The range of a setting can be wider than what it takes.
            assert!(error.sqlstate.starts_with("22"), "{set}: {error}");
            continue;
        }
        let dml = format!(
            "SELECT public.fill({next}, {next} + 1);
             UPDATE public.v SET f8 = f8 + 1, k = k + 1, by = by || by WHERE id % 5 = {number} % 5;
             DELETE FROM public.v WHERE id <= {next} - 5;"
        );
        next += 2;
        let refresh = format!(
            "SELECT pgtrickle.refresh_stream_table('public.' || s, force_full => {}) FROM unnest('{{{}}}'::text[]) s",
            number % 4 == 3,
            names.join(",")
        );
        for statement in [&dml, &refresh] {
            let outcome = other.execute(statement).await;
            outcome.unwrap_or_else(|error| panic!("{shown}: {error}"));
        }
        for stream_table in &names {
            let question = Question::view(&admin, stream_table).await.unwrap();
            let verdict = question.ask(&admin).await.unwrap();
            assert!(verdict.is_exact(), "{shown}: {stream_table}: {verdict}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_stable_function_of_the_server_reads_is_known() {
    let cluster = Cluster::start(&ClusterOptions::new()).unwrap();
    let session = Session::connect(&cluster, "postgres").await.unwrap();
    let rows = session
        .rows("SELECT oid, oid::regprocedure, provolatile = 's' FROM pg_proc WHERE oid < 10000")
        .await
        .unwrap();
    let mut unknown = Vec::new();
    let listed = READS
        .lines()
        .filter(|l| l.starts_with(|c: char| c.is_ascii_digit()));
    let mut named: BTreeSet<&str> = listed.filter_map(of_this_version).collect();
    for row in rows {
        let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let line = format!("{} {}", cell(0), cell(1));
        if !named.remove(line.as_str()) && cell(2) == "t" {
            unknown.push(line);
        }
    }
    assert!(unknown.is_empty(), "not in reads.txt: {unknown:?}");
    assert!(named.is_empty(), "not in the server: {named:?}");
}

/// A line without its versions, if the server's is one of them.
fn of_this_version(line: &str) -> Option<&str> {
    let (line, is_there) = match (line.split_once(" since "), line.split_once(" until ")) {
        (Some((line, first)), _) => (line, major() >= first.parse().unwrap()),
        (_, Some((line, last))) => (line, major() <= last.parse().unwrap()),
        _ => (line, true),
    };
    is_there.then_some(line)
}

/// A value as SET takes it: lists are not quoted as one.
fn text_or_list(name: &str, value: &str) -> String {
    match name {
        "search_path" | "DateStyle" | "restrict_nonsystem_relation_kind" => value.to_owned(),
        _ => quote_literal(value),
    }
}
