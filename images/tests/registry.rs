//! `digests update` against a registry in this process, which misbehaves as registries do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use images::{RECORD, Record, Registries, Source, update::Update, update::update};
use sha2::{Digest, Sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How the registry behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Plain,
    NoDigestHeader,
    WantsToken,
    Limits,
    OnePlatform,
    NotFound,
    LiesAboutTheDigest,
}

fn body(manner: Manner) -> String {
    if manner == Manner::OnePlatform {
        return format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{}},"layers":[]}}"#
        );
    }
    let entry = |os: &str, architecture: &str| {
        format!(
            r#"{{"mediaType":"{MANIFEST}","digest":"sha256:00","size":1,"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
        )
    };
    let entries = [
        entry("linux", "amd64"),
        entry("linux", "arm64"),
        entry("unknown", "unknown"),
    ];
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        entries.join(",")
    )
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A registry at a port of its own. The thread ends with the process.
struct Registry {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, manner, port, &seen);
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, manner: Manner, port: u16, seen: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    let headers: Vec<String> = lines
        .map(Result::unwrap)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_lowercase())
        .collect();
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    seen.lock().unwrap().push(format!("{method} {path}"));
    let has_token = headers
        .iter()
        .any(|line| line == "authorization: bearer secret");
    let body = body(manner);
    let real = digest(&body);
    let (status, more, text) = if path.starts_with("/token") {
        ("200 OK", String::new(), r#"{"token":"secret"}"#.to_owned())
    } else if manner == Manner::WantsToken && !has_token {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://localhost:{port}/token\",service=\"stub\",scope=\"repository:library/postgres:pull\"\r\n"
        );
        ("401 Unauthorized", challenge, String::new())
    } else if path == "/v2/" {
        ("200 OK", String::new(), "{}".to_owned())
    } else if manner == Manner::Limits {
        let text = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down","detail":null}]}"#;
        ("429 Too Many Requests", String::new(), text.to_owned())
    } else if manner == Manner::NotFound {
        let text = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown","detail":null}]}"#;
        ("404 Not Found", String::new(), text.to_owned())
    } else {
        let named = match manner {
            Manner::LiesAboutTheDigest => digest("something else"),
            _ => real,
        };
        let media_type = if manner == Manner::OnePlatform {
            MANIFEST
        } else {
            INDEX
        };
        let mut more = format!("Content-Type: {media_type}\r\n");
        if manner != Manner::NoDigestHeader {
            more.push_str(&format!("Docker-Content-Digest: {named}\r\n"));
        }
        ("200 OK", more, body)
    };
    let length = text.len();
    let text = if method == "HEAD" { "" } else { text.as_str() };
    // A client that has gone away is its own business.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    );
}

/// A checkout with three files that name the registry's image, and one that is built here.
fn checkout(port: u16) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["images", "cnpg", "monitoring"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let image = format!("127.0.0.1:{port}/library/postgres:18");
    let write = |path: &str, text: String| fs::write(dir.path().join(path), text).unwrap();
    write(RECORD, "own = [\"mine\"]\n".to_owned());
    write(
        "images/Dockerfile.x",
        format!("# why\nFROM {image} AS a\nFROM mine:1\nFROM {image}\n"),
    );
    write(
        "cnpg/a.yaml",
        format!("spec:\n  imageName: {image} # here\n"),
    );
    write("monitoring/b.yml", "image: mine:2\n".to_owned());
    dir
}

fn texts(root: &Path) -> Vec<(String, String)> {
    let mut all = images::files_of(root).unwrap();
    all.sort();
    all
}

fn run(root: &Path, port: u16) -> Result<usize, String> {
    updated(root, port).map(|update| update.pins.len())
}

fn updated(root: &Path, port: u16) -> Result<Update, String> {
    let registries = Registries::new(vec![format!("127.0.0.1:{port}")]);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(update(root, &registries))
        .map_err(|error| format!("{error:#}"))
}

#[test]
fn every_place_is_pinned_to_what_the_registry_says_and_nothing_else_changes() {
    for manner in [Manner::Plain, Manner::NoDigestHeader, Manner::WantsToken] {
        let registry = Registry::start(manner);
        let dir = checkout(registry.port);
        let root = dir.path();
        assert_eq!(run(root, registry.port), Ok(1), "{manner:?}");
        let image = format!(
            "127.0.0.1:{}/library/postgres:18@{}",
            registry.port,
            digest(&body(manner))
        );
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        assert_eq!(
            read("images/Dockerfile.x"),
            format!("# why\nFROM {image} AS a\nFROM mine:1\nFROM {image}\n")
        );
        assert_eq!(
            read("cnpg/a.yaml"),
            format!("spec:\n  imageName: {image} # here\n")
        );
        assert_eq!(read("monitoring/b.yml"), "image: mine:2\n");
        let record = Record::read(root).unwrap();
        assert_eq!(record.own, ["mine"]);
        assert_eq!(record.pins[0].platforms, ["linux/amd64", "linux/arm64"]);
        // Files and record agree now, and a second run has nothing to write.
        let before = texts(root);
        let files = before
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        assert_eq!(images::check::findings(&record, files), []);
        assert_eq!(run(root, registry.port), Ok(1), "{manner:?}");
        assert_eq!(texts(root), before, "{manner:?}");
        let requests = registry.requests();
        let asked = |what: &str| requests.iter().any(|request| request.starts_with(what));
        assert!(
            asked("HEAD /v2/library/postgres/manifests/18"),
            "{requests:?}"
        );
        assert_eq!(
            asked("GET /token"),
            manner == Manner::WantsToken,
            "{requests:?}"
        );
    }
}

#[test]
fn a_registry_that_does_not_answer_well_is_explained_and_nothing_is_written() {
    for (manner, said) in [
        (Manner::Limits, "the registry limits requests"),
        (Manner::OnePlatform, "is no multi-platform index"),
        (Manner::NotFound, "do name and tag exist?"),
        (Manner::LiesAboutTheDigest, "could not be resolved"),
    ] {
        let registry = Registry::start(manner);
        let dir = checkout(registry.port);
        let before = texts(dir.path());
        let error = run(dir.path(), registry.port).unwrap_err();
        assert!(error.contains(said), "{manner:?}: {error}");
        assert!(error.contains("library/postgres:18"), "{manner:?}: {error}");
        assert_eq!(texts(dir.path()), before, "{manner:?}");
    }
}

#[test]
fn a_registry_that_cannot_be_reached_is_explained_and_nothing_is_written() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let dir = checkout(port);
    let before = texts(dir.path());
    let error = run(dir.path(), port).unwrap_err();
    assert!(error.contains("cannot be reached"), "{error}");
    assert_eq!(texts(dir.path()), before);
}

#[test]
fn one_image_that_fails_keeps_all_files_as_they_are() {
    let good = Registry::start(Manner::Plain);
    let bad = Registry::start(Manner::Limits);
    let dir = checkout(good.port);
    let other = format!("image: 127.0.0.1:{}/library/postgres:18\n", bad.port);
    fs::write(dir.path().join("monitoring/c.yml"), other).unwrap();
    let before = texts(dir.path());
    let registries = Registries::new(vec![
        format!("127.0.0.1:{}", good.port),
        format!("127.0.0.1:{}", bad.port),
    ]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(runtime.block_on(update(dir.path(), &registries)).is_err());
    assert!(!good.requests().is_empty());
    assert_eq!(texts(dir.path()), before);
}

#[test]
fn what_listings_named_is_replaced_and_said_where_the_registry_has_something_else() {
    let registry = Registry::start(Manner::Plain);
    let name = format!("127.0.0.1:{}/library/postgres", registry.port);
    let real = digest(&body(Manner::Plain));
    for (listed, differs) in [(real.clone(), false), (digest("what it was"), true)] {
        let dir = checkout(registry.port);
        let record = format!(
            "[[image]]\nname = \"{name}\"\ntag = \"18\"\ndigest = \"{listed}\"\nsource = \"listing\"\ndate = \"2026-01-02\"\n"
        );
        fs::write(
            dir.path().join(RECORD),
            format!("own = [\"mine\"]\n{record}"),
        )
        .unwrap();
        let update = updated(dir.path(), registry.port).unwrap();
        let said =
            format!("{name}:18: on 2026-01-02 listings had {listed}; the registry now has {real}");
        let expected: &[String] = if differs { &[said] } else { &[] };
        assert_eq!(update.differences, expected);
        let pin = &Record::read(dir.path()).unwrap().pins[0];
        assert_eq!(
            (pin.digest.as_str(), pin.source),
            (real.as_str(), Source::Registry)
        );
        assert_ne!(pin.date, "2026-01-02");
    }
}
