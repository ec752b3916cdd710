//! The version before the present one, and the story of an update from it, which is the same wherever the servers
//! run: [`before`] on a server of that version, [`between`] and [`update`] on one of the present version that has
//! taken over its data.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use crate::client::Session;
use crate::cluster::ExtensionDir;
use crate::oracle;
use crate::runtime::follows;

/// Its number.
pub const VERSION: &str = "0.1.0";
/// The commit of this repository that holds it.
pub const COMMIT: &str = "42cb2c68bad36eb73347e10bb52feb29f8e81124";

/// What a scheduler says that leaves a database alone because of its version.
pub const COMPLAINT: &str = "nothing is refreshed by its schedule";

/// Its files, or else says that the test is skipped and why. `cargo xtask build --previous` makes them.
pub fn installed_for(test: &str) -> Option<ExtensionDir> {
    let found = match env::var("PGT_NO_PREVIOUS") {
        Ok(why) => Err(why),
        Err(_) => ExtensionDir::at(&folder()).map_err(|error| error.to_string()),
    };
    found.map_err(|why| println!("skipped: {test}: {why}")).ok()
}

/// Where they are: `PGT_PREVIOUS_INSTALL_DIR`, or where a build in this workspace puts them.
fn folder() -> PathBuf {
    match env::var_os("PGT_PREVIOUS_INSTALL_DIR") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/previous")
            .join(COMMIT)
            .join("target/pg_trickle-install"),
    }
}

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const TABLES: &str = "
CREATE EXTENSION pg_trickle;
CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, g int, v int);
CREATE TABLE s (g int PRIMARY KEY, name text NOT NULL);
CREATE TABLE p (id int PRIMARY KEY, v int);
CREATE TABLE q (id int PRIMARY KEY, v int);
INSERT INTO t (g, v) SELECT i % 50, i FROM generate_series(1, 2000) i;
INSERT INTO p SELECT i, i FROM generate_series(1, 100) i;
INSERT INTO q TABLE p;
INSERT INTO s SELECT i, 'group ' || i FROM generate_series(0, 39) i;
SELECT pgtrickle.create_stream_table('keyed', 'SELECT id, g, v FROM t WHERE v % 3 <> 0');
SELECT pgtrickle.create_stream_table('totals', 'SELECT g, count(*) AS n, sum(v) AS total, max(v) AS most FROM t GROUP BY g');
SELECT pgtrickle.create_stream_table('joined', 'SELECT t.id, t.v, s.name FROM t JOIN s USING (g)');
SELECT pgtrickle.create_stream_table('outer_joined', 'SELECT s.g, s.name, t.v FROM s LEFT JOIN t USING (g)');
SELECT pgtrickle.create_stream_table('chained', 'SELECT name, sum(total) AS total FROM totals JOIN s USING (g) GROUP BY name');
SELECT pgtrickle.create_stream_table('ranked', 'SELECT id, g, rank() OVER (PARTITION BY g ORDER BY v DESC) FROM t');
SELECT pgtrickle.create_stream_table('reached',
    'WITH RECURSIVE r (g) AS (SELECT g FROM s WHERE g = 0 UNION SELECT s.g FROM s JOIN r ON s.g = r.g + 1) SELECT g FROM r');
SELECT pgtrickle.create_stream_table('recomputed', 'SELECT g, v FROM t ORDER BY v DESC, id LIMIT 10', refresh_mode => 'FULL');
SELECT pgtrickle.create_stream_table('at_once', 'SELECT g, count(*) AS n, max(v) AS most FROM t GROUP BY g', refresh_mode => 'IMMEDIATE');
SELECT pgtrickle.create_stream_table('row_by_row', 'SELECT id, v + 1 AS w FROM t', refresh_mode => 'IMMEDIATE');
SELECT pgtrickle.create_stream_table('rewritten', 'SELECT id, v FROM p', refresh_mode => 'IMMEDIATE');
SET pg_trickle.cdc_trigger_mode = sql;
SELECT pgtrickle.create_stream_table('by_sql', 'SELECT v % 7 AS g, count(*) AS n FROM q GROUP BY 1');
RESET pg_trickle.cdc_trigger_mode;
SELECT pgtrickle.create_stream_table('planned_anew', 'SELECT g, sum(v) AS total FROM t GROUP BY g', refresh_mode => 'IMMEDIATE');
";

/// What users do meanwhile.
const CHANGES: &str = "
INSERT INTO t (g, v) SELECT i % 60, i * 7 FROM generate_series(1, 100) i;
UPDATE t SET v = v + 1 WHERE id % 11 = 0;
UPDATE t SET g = g + 1 WHERE id % 17 = 0;
DELETE FROM t WHERE id % 13 = 0;
UPDATE s SET name = name || '!' WHERE g % 5 = 0;
DELETE FROM s WHERE g = (SELECT max(g) FROM s);
UPDATE p SET v = v + 1 WHERE id % 3 = 0;
DELETE FROM p WHERE id = (SELECT max(id) FROM p);
UPDATE q SET v = v + 1 WHERE id % 3 = 0;
DELETE FROM q WHERE id = (SELECT max(id) FROM q);
CREATE TEMP TABLE own AS SELECT * FROM s;
DROP TABLE own;
";

/// IMMEDIATE ones: the first two follow all the time.
const IMMEDIATE: [&str; 4] = ["at_once", "row_by_row", "planned_anew", "rewritten"];

const ALL: [&str; 13] = [
    "keyed",
    "totals",
    "joined",
    "outer_joined",
    "chained",
    "ranked",
    "reached",
    "recomputed",
    "at_once",
    "row_by_row",
    "planned_anew",
    "rewritten",
    "by_sql",
];

/// Functions that read or change stream tables.
const REFUSED: [&str; 6] = [
    "SELECT * FROM pgtrickle.refresh_stream_table('totals')",
    "SELECT pgtrickle.create_stream_table('another', 'SELECT g FROM s')",
    "SELECT pgtrickle.alter_stream_table('totals', schedule => '1h')",
    "SELECT pgtrickle.drop_stream_table('totals')",
    "SELECT * FROM pgtrickle.pgt_status()",
    "SELECT * FROM pgtrickle.explain_st('totals')",
];

/// On the previous version, with nothing refreshed by schedule: stream tables, and changes that they have not taken
/// in. One of them is left with a plan as if the versions planned it differently.
pub async fn before(session: &Session) -> Outcome {
    session.execute(TABLES).await?;
    session.execute(CHANGES).await?;
    for name in ["totals", "chained"] {
        let refresh = format!("SELECT pgtrickle.refresh_stream_table('{name}')");
        session.execute(&refresh).await?;
    }
    session.execute(CHANGES).await?;
    exact(session, &IMMEDIATE).await?;
    session
        .execute(
            "UPDATE pgtrickle.pgt_stream_tables SET defining_query_hash = 1
              WHERE pgt_relid = 'planned_anew'::regclass",
        )
        .await?;
    Ok(())
}

/// On the present version, before the update: users write, and one rewrites a table; IMMEDIATE stream tables follow,
/// but for its readers; all else is refused.
pub async fn between(session: &Session) -> Outcome {
    session
        .execute("ALTER TABLE p ADD COLUMN at float8 DEFAULT random()")
        .await?;
    session.execute(CHANGES).await?;
    exact(session, &IMMEDIATE[..2]).await?;
    let numbers = format!(
        "The extension has version {VERSION}, the library {}.",
        env!("CARGO_PKG_VERSION")
    );
    for sql in REFUSED {
        let Err(error) = session.execute(sql).await else {
            return Err(format!("not refused: {sql}").into());
        };
        let is_clear = error.sqlstate == "55000"
            && error.detail.as_deref() == Some(&numbers)
            && error
                .hint
                .as_deref()
                .is_some_and(|hint| hint.starts_with("Run ALTER EXTENSION pg_trickle UPDATE"));
        if !is_clear {
            return Err(error.into());
        }
    }
    session.execute(CHANGES).await?;
    exact(session, &IMMEDIATE[..2]).await
}

/// Updates, with a schedule running: by itself everything becomes exact, by the changes unless AUTO finds recomputing
/// cheaper.
pub async fn update(session: &Session) -> Outcome {
    let history = "SELECT coalesce(max(history_id), 0) FROM pgtrickle.pgt_refresh_history";
    let last = session.scalar(history).await?;
    session.execute("ALTER EXTENSION pg_trickle UPDATE").await?;
    exact(session, &IMMEDIATE).await?;
    for name in ALL {
        follows(session, name).await?;
    }
    let recomputed = format!(
        "SELECT coalesce(string_agg(DISTINCT t.pgt_relid::regclass::text, ' ' ORDER BY t.pgt_relid::regclass::text), '')
           FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables t USING (pgt_id)
          WHERE history_id > {last} AND action <> 'DIFFERENTIAL' AND reason IS DISTINCT FROM 'COST'"
    );
    for (sql, wanted) in [
        (
            recomputed.as_str(),
            "planned_anew ranked reached recomputed rewritten",
        ),
        (
            "SELECT extversion = pgtrickle.version() FROM pg_extension WHERE extname = 'pg_trickle'",
            "t",
        ),
        ("SELECT pgtrickle.scheduler_state()", "RUNNING"),
        ("SELECT count(*) FROM pgtrickle.refresh_failures()", "0"),
        (
            "SELECT action FROM pgtrickle.refresh_stream_table('totals')",
            "NO_DATA",
        ),
    ] {
        let found = session.scalar(sql).await?;
        if found != wanted {
            return Err(format!("{found}, not {wanted}: {sql}").into());
        }
    }
    session.execute(CHANGES).await?;
    exact(session, &IMMEDIATE).await?;
    for name in ALL {
        follows(session, name).await?;
    }
    Ok(())
}

async fn exact(session: &Session, names: &[&str]) -> Outcome {
    for name in names {
        let verdict = oracle::check(session, name).await?;
        if !verdict.is_exact() {
            return Err(format!("{name} is {verdict}").into());
        }
    }
    Ok(())
}
