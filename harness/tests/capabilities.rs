//! Every claim of docs/SQL_SUPPORT.md: what is said to be maintained is, exactly, by the changes; what is
//! said to be recomputed or refused is, with its code.

use std::fs;
use std::path::Path;

use harness::client::{Session, quote_literal};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::document::{self, Block};
use harness::oracle::Question;
use harness::scenario::World;

/// A construct of the document.
struct Claim {
    code: String,
    /// `maintained`, `recomputed` or `refused`.
    word: String,
    query: String,
}

impl Claim {
    fn name(&self) -> String {
        format!("st_{}", self.code.to_lowercase())
    }

    fn create(&self, mode: &str) -> String {
        format!(
            "SELECT pgtrickle.create_stream_table({}, {}, refresh_mode => '{mode}')",
            quote_literal(&self.name()),
            quote_literal(&self.query)
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_claim_about_sql_is_true() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("claims", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SQL_SUPPORT.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = document::blocks(&text);
    let [tables, changes, examples @ ..] = blocks.as_slice() else {
        panic!("the document has another form now");
    };
    let claims = claims(&text, examples);
    assert!(claims.len() > 40, "{} claims", claims.len());
    session.execute(&tables.lines.join("\n")).await.unwrap();

    let mut complaints = Vec::new();
    let mut maintained = Vec::new();
    for claim in &claims {
        match created(&session, claim).await {
            Ok(true) => maintained.push(claim),
            Ok(false) => {}
            Err(complaint) => complaints.push(complaint),
        }
    }
    let statements = changes.lines.join("\n");
    for change in statements.split_inclusive(";\n") {
        session.execute(change).await.unwrap();
        for claim in &maintained {
            if let Err(complaint) = followed(&session, claim).await {
                complaints.push(format!("{complaint}\nafter {change}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The claims with an example.
fn claims(text: &str, examples: &[Block]) -> Vec<Claim> {
    let lines: Vec<&str> = text.lines().collect();
    examples
        .iter()
        .map(|block| {
            let said = lines[..block.line]
                .iter()
                .rev()
                .find_map(|line| line.strip_prefix('`')?.split_once("` · **"))
                .expect("a claim stands before its example");
            Claim {
                code: said.0.to_owned(),
                word: said.1.split("**").next().unwrap_or_default().to_owned(),
                query: block.lines.join(" ").trim_end_matches(';').to_owned(),
            }
        })
        .collect()
}

/// Creates what can be created; whether it follows the changes.
async fn created(session: &Session, claim: &Claim) -> Result<bool, String> {
    let differential = session.execute(&claim.create("DIFFERENTIAL")).await;
    if claim.word == "maintained" {
        let explained = session
            .table(&format!(
                "SELECT code FROM pgtrickle.explain_capabilities({})",
                quote_literal(&claim.query)
            ))
            .await
            .map_err(|error| error.to_string())?;
        let names = (0..explained.rows.len()).any(|row| {
            explained
                .value(row, "code")
                .is_some_and(|code| code == claim.code)
        });
        return match differential {
            Err(error) => Err(format!("{}: {error}", claim.code)),
            Ok(()) if names => Ok(true),
            Ok(()) => Err(format!("{}: the example does not show it", claim.code)),
        };
    }
    let mark = format!("({})", claim.code);
    match differential {
        Ok(()) => return Err(format!("{}: maintained after all", claim.code)),
        Err(error) if !error.to_string().contains(&mark) => {
            return Err(format!("{}: refused otherwise: {error}", claim.code));
        }
        Err(_) => {}
    }
    match (
        claim.word.as_str(),
        session.execute(&claim.create("AUTO")).await,
    ) {
        ("recomputed", Ok(())) => Ok(false),
        ("refused", Err(error)) if error.to_string().contains(&mark) => Ok(false),
        (_, outcome) => Err(format!("{}: {}, but {outcome:?}", claim.code, claim.word)),
    }
}

/// Refreshes; an error says what is not as claimed.
async fn followed(session: &Session, claim: &Claim) -> Result<(), String> {
    let name = claim.name();
    let refresh = format!(
        "SELECT action, reason FROM pgtrickle.refresh_stream_table({})",
        quote_literal(&name)
    );
    let report = session
        .table(&refresh)
        .await
        .map_err(|error| format!("{}: {error}", claim.code))?;
    let action = report.value(0, "action").unwrap_or_default();
    if !["DIFFERENTIAL", "NO_DATA"].contains(&action) {
        return Err(format!("{}: refreshed by {action}", claim.code));
    }
    let question = Question::settled(session, &name, &claim.query)
        .await
        .map_err(|error| format!("{}: {error}", claim.code))?;
    let verdict = question
        .ask(session)
        .await
        .map_err(|error| format!("{}: {error}", claim.code))?;
    if verdict.is_exact() {
        Ok(())
    } else {
        Err(format!("{} is {verdict}", claim.code))
    }
}
