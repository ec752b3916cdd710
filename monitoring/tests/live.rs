//! A real Prometheus scrapes a real exporter that asks a real server with its scheduler: every metric has a
//! sample, every alert's expression evaluates, and counters rise when their event happens.

mod tools;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::client::Session;
use harness::runtime::scheduled_cluster;

/// How long the chain may take to deliver.
const DEADLINE: Duration = Duration::from_secs(60);

/// A refresh that did something, one with each kind of row, one that fails again and again.
const EVENTS: &str = "
CREATE TABLE orders (id int PRIMARY KEY, customer text, amount numeric);
INSERT INTO orders SELECT i, 'c' || i % 3, i FROM generate_series(1, 30) i;
SELECT pgtrickle.create_stream_table('revenue',
    'SELECT customer, sum(amount) AS total FROM orders GROUP BY customer', schedule => '5 minutes');
UPDATE orders SET amount = amount + 1 WHERE id = 1;
SELECT pgtrickle.refresh_stream_table('revenue');
CREATE TABLE divisors (v int);
SELECT pgtrickle.create_stream_table('inverse', 'SELECT 1 / v AS i FROM divisors');
INSERT INTO divisors VALUES (0);
INSERT INTO orders VALUES (31, 'late', 1);
";

/// The counters that something has to happen for, and what makes it happen.
const PROVOKED: [(&str, &str); 3] = [
    // More definitions in one transaction than the ring of the test has room for.
    (
        "pg_trickle_invalidation_ring_overflows_total",
        "DO $$ BEGIN FOR i IN 1..12 LOOP
             PERFORM pgtrickle.create_stream_table('many_' || i, 'SELECT id FROM orders');
         END LOOP; END $$",
    ),
    (
        "pg_trickle_dag_cycles_detected_total",
        "SELECT pgtrickle.create_stream_table('lower', 'SELECT id FROM orders');
         SELECT pgtrickle.create_stream_table('upper', 'SELECT id FROM lower');
         DO $$ BEGIN
             PERFORM pgtrickle.alter_stream_table('lower', query => 'SELECT id FROM upper');
         EXCEPTION WHEN invalid_recursion THEN NULL;
         END $$",
    ),
    (
        "pg_trickle_template_cache_stale_evictions_total",
        "SELECT pgtrickle.refresh_stream_table('revenue');
         SELECT pgtrickle.alter_stream_table('revenue',
             query => 'SELECT customer, sum(amount) + 1 AS total FROM orders GROUP BY customer');
         SELECT pgtrickle.refresh_stream_table('revenue')",
    ),
];

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself is what we want.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_gets_a_sample_of_every_metric() {
    let test = "prometheus_gets_a_sample_of_every_metric";
    let exporter = "prometheus-postgres-exporter";
    let (Some(prometheus), Some(exporter)) = (
        tools::find(test, "prometheus", "prometheus"),
        tools::find(test, exporter, exporter),
    ) else {
        return;
    };
    let cluster = scheduled_cluster(&[("pg_trickle.invalidation_ring_capacity", "2")]).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let session = runtime
        .block_on(Session::connect(&cluster, "postgres"))
        .unwrap();
    let run = |sql: &str| runtime.block_on(session.execute(sql)).unwrap();
    run("CREATE EXTENSION pg_trickle");
    run(EVENTS);
    run("CREATE ROLE exporter LOGIN; GRANT pg_monitor TO exporter");

    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus");
    let (scraped, asked) = (free_port(), free_port());
    let folder = cluster.socket_dir();
    // What an exporter may repeat for a while would make the test wait for as long.
    let queries = folder.join("queries.yml");
    let text = fs::read_to_string(files.join("pg_trickle_queries.yml")).unwrap();
    let fresh: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("cache_seconds"))
        .collect();
    fs::write(&queries, fresh.join("\n")).unwrap();
    let _exporter = Running(
        Command::new(exporter)
            .arg(format!("--web.listen-address=127.0.0.1:{scraped}"))
            .arg(format!("--extend.query-path={}", queries.display()))
            .args(["--disable-default-metrics", "--disable-settings-metrics"])
            .env(
                "DATA_SOURCE_NAME",
                format!(
                    "host={} port={} user=exporter dbname=postgres sslmode=disable",
                    folder.display(),
                    cluster.port()
                ),
            )
            .stderr(fs::File::create(folder.join("exporter.log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let configuration = folder.join("prometheus.yml");
    let rules = files.join("alerts.yml").canonicalize().unwrap();
    fs::write(
        &configuration,
        format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\n\
             scrape_configs:\n  - job_name: pg\n    static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]\n",
            rules.display()
        ),
    )
    .unwrap();
    let _prometheus = Running(
        Command::new(prometheus)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{asked}"))
            .stderr(fs::File::create(folder.join("prometheus.log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );

    let mut missing: Vec<String> = monitoring::catalogue::names().into_iter().collect();
    let all_arrive = wait(|| {
        missing.retain(|metric| value(asked, metric).is_none());
        missing.is_empty()
    });
    let log = fs::read_to_string(folder.join("exporter.log")).unwrap_or_default();
    assert!(
        all_arrive,
        "no sample of {missing:?}; the exporter says\n{log}"
    );

    for (metric, event) in PROVOKED {
        let before = value(asked, metric);
        run(event);
        assert!(wait(|| value(asked, metric) > before), "{metric} stays");
    }

    // A rule is `unknown` until it has been evaluated for the first time.
    let mut answer = String::new();
    let all_evaluate = wait(|| {
        answer = get(asked, "/api/v1/rules").unwrap_or_default();
        answer.contains("\"health\":\"ok\"") && !answer.contains("\"health\":\"unknown\"")
    });
    assert!(
        all_evaluate && !answer.contains("\"health\":\"err\""),
        "{answer}"
    );
}

/// Whether it comes true before the deadline.
fn wait(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    false
}

/// The sum of a metric's present samples, if there are any.
fn value(port: u16, metric: &str) -> Option<f64> {
    let answer = get(port, &format!("/api/v1/query?query=sum({metric})"))?;
    let (_, sample) = answer.split_once("\"value\":[")?;
    let (_, number) = sample.split_once(",\"")?;
    number.split('"').next()?.parse().ok()
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The answer to a GET; `None` while nobody answers.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.0 200").then_some(answer)
}
