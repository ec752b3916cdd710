//! The dbt package of `docs/dbt/`, with the real dbt that `PGT_DBT` names: build, again, another query, a full refresh, a
//! contract, the documentation. Without it the test says that it is skipped, and why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle;

/// A project with the package, and the server that it is for.
struct Project<'a> {
    dbt: PathBuf,
    folder: PathBuf,
    cluster: &'a Cluster,
}

impl Project<'_> {
    /// Runs dbt; returns what it says, and whether it succeeded.
    fn dbt(&self, arguments: &str) -> (String, bool) {
        let mut dbt = Command::new(&self.dbt);
        let client = self.cluster.client_command("psql");
        let environment = client.get_envs();
        let output = dbt
            .args(arguments.split(' '))
            .args(["--profiles-dir", "."])
            .current_dir(&self.folder)
            .envs(environment.filter_map(|(name, value)| Some((name, value?))))
            .env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        (said, output.status.success())
    }

    fn succeeds(&self, arguments: &str) -> String {
        let (said, is_ok) = self.dbt(arguments);
        assert!(is_ok, "dbt {arguments}: {said}");
        said
    }

    fn fails(&self, arguments: &str) -> String {
        let (said, is_ok) = self.dbt(arguments);
        assert!(!is_ok, "dbt {arguments} succeeds: {said}");
        said
    }

    /// Replaces a part of a file.
    fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

async fn value(session: &Session, sql: &str) -> String {
    let value = session.scalar(sql).await;
    value.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Indexes of `revenue`, in their order.
const INDEXES: &str = "SELECT string_agg(regexp_replace(pg_get_indexdef(indexrelid), ' INDEX dbt_[0-9a-f]+ ON', ''), '; ' ORDER BY indisunique DESC)
    FROM pg_index WHERE indrelid = 'revenue'::regclass AND indexrelid::regclass::text LIKE 'dbt_%'";

const REFRESHES: &str = "SELECT count(*) FROM pgtrickle.pgt_refresh_history JOIN pgtrickle.pgt_stream_tables USING (pgt_id)
    WHERE pgt_relid = 'revenue'::regclass AND action = 'FULL'";

#[tokio::test(flavor = "multi_thread")]
async fn dbt_builds_changes_and_tests_stream_tables() {
    let Some(dbt) = std::env::var_os("PGT_DBT") else {
        let why = std::env::var("PGT_NO_DBT").unwrap_or("PGT_DBT names no dbt".into());
        let said = format!("skipped: dbt_builds_changes_and_tests_stream_tables: {why}");
        assert!(std::env::var_os("PGT_REQUIRE_DBT").is_none(), "{said}");
        println!("{said}");
        return;
    };
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let admin = Session::connect(&cluster, "postgres").await.unwrap();
    for sql in [
        "CREATE DATABASE shop",
        "CREATE ROLE reader",
        "CREATE ROLE other",
    ] {
        admin.execute(sql).await.unwrap();
    }
    let session = Session::connect(&cluster, "shop").await.unwrap();
    session
        .execute("CREATE EXTENSION pg_trickle")
        .await
        .unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = cluster.socket_dir().join("dbt");
    copy(&root.join("tests/dbt"), &folder);
    let project = Project {
        dbt: dbt.into(),
        folder,
        cluster: &cluster,
    };
    let package = root.join("../docs/dbt").canonicalize().unwrap();
    project.change("packages.yml", "PACKAGE", &package.display().to_string());
    project.succeeds("deps");

    project.succeeds("build");
    let mode = "SELECT refresh_mode || ' ' || schedule FROM pgtrickle.pgt_status() WHERE to_regclass(name) = 'revenue'::regclass";
    assert_eq!(value(&session, mode).await, "DIFFERENTIAL 1h");
    assert_eq!(
        value(&session, INDEXES).await,
        "CREATE UNIQUE public.revenue USING btree (customer); CREATE public.revenue USING btree (total)"
    );
    let granted = "SELECT has_table_privilege('reader', 'revenue', 'SELECT') || ' ' || has_table_privilege('other', 'revenue', 'SELECT')";
    assert_eq!(value(&session, granted).await, "true false");
    let described = "SELECT obj_description('revenue'::regclass) || ': ' || col_description('revenue'::regclass, 1)";
    assert_eq!(
        value(&session, described).await,
        "What customers have spent: Their name"
    );
    let identity = "SELECT 'revenue'::regclass::oid || ' ' || 'best'::regclass::oid";
    let first = value(&session, identity).await;
    let full = value(&session, REFRESHES).await;

    // Again: the same relations, brought up to date by the changes.
    session
        .execute("INSERT INTO orders VALUES (5, 'dee', 70)")
        .await
        .unwrap();
    project.succeeds("run --select revenue");
    assert_eq!(value(&session, identity).await, first);
    assert_eq!(value(&session, REFRESHES).await, full);
    assert_eq!(
        value(&session, "SELECT total FROM best WHERE customer = 'dee'").await,
        "70"
    );

    // Another query, other indexes and grants: what depends on it stays.
    session
        .execute("CREATE VIEW on_top AS SELECT customer FROM revenue")
        .await
        .unwrap();
    let on_top = value(&session, "SELECT 'on_top'::regclass::oid").await;
    project.change(
        "models/revenue.sql",
        "group by customer",
        "where amount > 5 group by customer",
    );
    project.change(
        "models/revenue.sql",
        "['total'], 'type': 'btree'",
        "['orders'], 'type': 'btree'",
    );
    project.change("models/revenue.sql", "['reader']", "['other']");
    project.succeeds("run --select revenue");
    assert_eq!(
        value(
            &session,
            "SELECT count(*) FROM on_top WHERE customer = 'cy'"
        )
        .await,
        "0"
    );
    assert_eq!(
        value(&session, "SELECT 'on_top'::regclass::oid").await,
        on_top
    );
    assert_eq!(value(&session, granted).await, "false true");
    let indexes = value(&session, INDEXES).await;
    assert!(
        indexes.ends_with("(orders)") && !indexes.contains("(total)"),
        "{indexes}"
    );
    assert!(oracle::check(&session, "revenue").await.unwrap().is_exact());

    // A column more.
    project.change(
        "models/revenue.sql",
        "sum(amount) as total",
        "sum(amount) as total, max(id) as latest",
    );
    project.succeeds("run --select revenue");
    assert_eq!(
        value(
            &session,
            "SELECT latest FROM revenue WHERE customer = 'dee'"
        )
        .await,
        "5"
    );
    assert_eq!(
        value(&session, "SELECT 'on_top'::regclass::oid").await,
        on_top
    );

    let full = value(&session, REFRESHES).await;
    project.succeeds("run --full-refresh --select revenue");
    assert_ne!(value(&session, REFRESHES).await, full);
    assert_eq!(
        value(&session, "SELECT 'on_top'::regclass::oid").await,
        on_top
    );

    // IMMEDIATE ones follow by themselves.
    session
        .execute("INSERT INTO orders VALUES (6, 'eve', 100)")
        .await
        .unwrap();
    assert_eq!(
        value(&session, "SELECT total FROM large WHERE customer = 'eve'").await,
        "100"
    );

    // Fresh, and no more.
    project.succeeds("run --select revenue");
    project.succeeds("test --select revenue");
    session
        .execute("SELECT pgtrickle.suspend_stream_table('revenue')")
        .await
        .unwrap();
    let said = project.fails("test --select revenue");
    assert!(said.contains("stream_table_is_fresh"), "{said}");
    session
        .execute("SELECT pgtrickle.resume_stream_table('revenue')")
        .await
        .unwrap();
    project.change("models/models.yml", "'1 hour'", "'0 seconds'");
    session
        .execute("INSERT INTO orders VALUES (7, 'fay', 1000)")
        .await
        .unwrap();
    let said = project.fails("test --select revenue");
    assert!(said.contains("stream_table_is_fresh"), "{said}");
    project.succeeds("run --select revenue");
    project.succeeds("test --select revenue");

    // A contract that the query breaks.
    project.change(
        "models/agreed.sql",
        "customer::text as customer",
        "amount as customer",
    );
    let said = project.fails("run --select agreed");
    assert!(said.contains("contract"), "{said}");
    project.change(
        "models/agreed.sql",
        "amount as customer",
        "customer::text as customer",
    );
    project.change(
        "models/models.yml",
        "data_type: integer",
        "data_type: integer\n        constraints: [{type: not_null}]",
    );
    let said = project.fails("run --select agreed");
    assert!(
        said.contains("a stream table has no constraints of its own"),
        "{said}"
    );
    project.change(
        "models/models.yml",
        "\n        constraints: [{type: not_null}]",
        "",
    );

    // Into a table, and back.
    let materialized = "materialized='stream_table', schedule";
    project.change(
        "models/revenue.sql",
        materialized,
        "materialized='table', schedule",
    );
    project.succeeds("run --select revenue");
    let is_one =
        "SELECT count(*) FROM pgtrickle.pgt_stream_tables WHERE pgt_relid = 'revenue'::regclass";
    assert_eq!(value(&session, is_one).await, "0");
    project.change(
        "models/revenue.sql",
        "materialized='table', schedule",
        materialized,
    );
    project.succeeds("build");
    assert_eq!(value(&session, is_one).await, "1");

    project.succeeds("docs generate");
    let catalog = fs::read_to_string(project.folder.join("target/catalog.json")).unwrap();
    assert!(catalog.contains("model.shop.revenue") && catalog.contains("latest"));
}
