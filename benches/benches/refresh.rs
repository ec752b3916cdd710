//! `cargo bench -p benches --bench refresh`: prints the speed table and fails if a gate is crossed.

use anyhow::{Result, bail};
use benches::report::Report;
use benches::settings::{Settings, is_trial};
use benches::{capture, data, gate, growth, refresh, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    let report = server::block_on(measure(&settings))?;
    println!("\n{}", report.markdown(&settings));
    let violations = report.violations(&gate::thresholds()?)?;
    for violation in &violations {
        println!("GATE {violation}");
    }
    if settings.gate && !violations.is_empty() {
        bail!("{} gates crossed", violations.len());
    }
    Ok(())
}

async fn measure(settings: &Settings) -> Result<Report> {
    let cluster = server::start()?;
    let mut report = Report::default();

    eprintln!("filling and creating views, {settings:?}");
    let session = server::database(&cluster, "refresh").await?;
    data::create(&session, settings.rows).await?;
    refresh::prepare(&session).await?;
    for changed in refresh::SIZES {
        eprintln!("refreshes after {changed} changed rows");
        let cells = refresh::measure(&session, settings, changed).await?;
        report.cells.extend(cells);
    }
    eprintln!("refreshes after nothing");
    report.idle = refresh::measure_idle(&session, settings).await?;
    drop(session);

    eprintln!("capture");
    let session = server::database(&cluster, "capture").await?;
    report.capture = capture::measure(&session, settings).await?;
    drop(session);

    if settings.growth_rows > 0 {
        eprintln!("growth to {} rows", settings.growth_rows);
        let session = server::database(&cluster, "growth").await?;
        report.growth = growth::measure(&session, settings, &report.cells).await?;
    }
    Ok(report)
}
