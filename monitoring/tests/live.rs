//! A real Prometheus scrapes a real exporter that asks a real server: every metric has a sample, and every
//! alert's expression evaluates.

mod tools;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};

/// How long the chain may take to deliver.
const DEADLINE: Duration = Duration::from_secs(60);

/// A refresh that did something, one with each kind of row, one that failed.
const EVENTS: &str = "
CREATE TABLE orders (id int PRIMARY KEY, customer text, amount numeric);
INSERT INTO orders SELECT i, 'c' || i % 3, i FROM generate_series(1, 30) i;
SELECT pgtrickle.create_stream_table('revenue',
    'SELECT customer, sum(amount) AS total FROM orders GROUP BY customer', schedule => '5 minutes');
UPDATE orders SET amount = amount + 1 WHERE id = 1;
SELECT pgtrickle.refresh_stream_table('revenue');
INSERT INTO pgtrickle.pgt_refresh_history
    (pgt_id, action, started_at, finished_at, duration_ms, rows_inserted, rows_updated, rows_deleted,
     delta_rows, status, error)
VALUES (pgtrickle.pgt_id_of('revenue'), 'DIFFERENTIAL', now(), now(), 1, 0, 0, 0, 0, 'FAILED', '22012');
INSERT INTO orders VALUES (31, 'late', 1);
";

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
    let cluster =
        Cluster::start(&ClusterOptions::new().extension(ExtensionDir::installed().unwrap()))
            .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let session = Session::connect(&cluster, "postgres").await.unwrap();
        session
            .execute("CREATE EXTENSION pg_trickle")
            .await
            .unwrap();
        session.execute(EVENTS).await.unwrap();
        let role = "CREATE ROLE exporter LOGIN; GRANT pg_monitor TO exporter";
        session.execute(role).await.unwrap();
    });

    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus");
    let (scraped, asked) = (free_port(), free_port());
    let folder = cluster.socket_dir();
    let _exporter = Running(
        Command::new(exporter)
            .arg(format!("--web.listen-address=127.0.0.1:{scraped}"))
            .arg(format!(
                "--extend.query-path={}",
                files.join("pg_trickle_queries.yml").display()
            ))
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
    let end = Instant::now() + DEADLINE;
    while !missing.is_empty() && Instant::now() < end {
        missing.retain(|metric| {
            !get(asked, &format!("/api/v1/query?query={metric}"))
                .is_some_and(|answer| answer.contains("\"value\":["))
        });
        std::thread::sleep(Duration::from_millis(200));
    }
    let log = fs::read_to_string(folder.join("exporter.log")).unwrap_or_default();
    assert!(
        missing.is_empty(),
        "no sample of {missing:?}; the exporter says\n{log}"
    );

    // A rule is `unknown` until it has been evaluated for the first time.
    let mut answer = String::new();
    while Instant::now() < end {
        answer = get(asked, "/api/v1/rules").unwrap_or_default();
        if answer.contains("\"health\":\"ok\"") && !answer.contains("\"health\":\"unknown\"") {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(answer.contains("\"health\":\"ok\""), "{answer}");
    assert!(!answer.contains("\"health\":\"err\""), "{answer}");
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
