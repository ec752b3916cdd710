//! Whether there is an engine, and an image to run.

use bollard::Docker;

/// An engine with the image.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The engine.
    pub docker: Docker,
    /// Name of the image.
    pub name: String,
    /// Its tag.
    pub tag: String,
}

const DEFAULT_IMAGE: &str = "pg-trickle-local:dev";
const PREVIOUS_IMAGE: &str = "pg-trickle-local:previous";

/// The engine; otherwise says that the test is skipped and why, which fails where `PGT_REQUIRE_DOCKER` is
/// set.
pub async fn engine_for(test: &str) -> Option<Engine> {
    match find().await {
        Ok(engine) => Some(engine),
        Err(why) => {
            assert!(
                std::env::var_os("PGT_REQUIRE_DOCKER").is_none(),
                "{test}: {why}"
            );
            skip(test, &why)
        }
    }
}

/// The same engine with the image of the previous version; otherwise says that the test is skipped and why.
/// `PGT_NO_PREVIOUS` is why `cargo xtask test` has made none.
pub async fn previous_for(test: &str, engine: &Engine) -> Option<Engine> {
    let found = match std::env::var("PGT_NO_PREVIOUS") {
        Ok(why) => Err(why),
        Err(_) => with_image(&engine.docker, PREVIOUS_IMAGE, " --previous").await,
    };
    match found {
        Ok(engine) => Some(engine),
        Err(why) => skip(test, &why),
    }
}

fn skip(test: &str, why: &str) -> Option<Engine> {
    println!("skipped: {test}: {why}");
    None
}

/// `PGT_NO_ENGINE` is why `cargo xtask test` has found none.
async fn find() -> Result<Engine, String> {
    if let Ok(why) = std::env::var("PGT_NO_ENGINE") {
        return Err(why);
    }
    let no_engine = |error| format!("there is no container engine: {error}");
    let docker = Docker::connect_with_defaults().map_err(no_engine)?;
    let docker = docker.negotiate_version().await.map_err(no_engine)?;
    let image = std::env::var("PGT_IMAGE").unwrap_or_else(|_| DEFAULT_IMAGE.to_owned());
    with_image(&docker, &image, "").await
}

async fn with_image(docker: &Docker, image: &str, option: &str) -> Result<Engine, String> {
    docker.inspect_image(image).await.map_err(|error| {
        format!("no image {image} (cargo xtask images local{option} makes it): {error}")
    })?;
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    Ok(Engine {
        docker: docker.clone(),
        name: name.to_owned(),
        tag: tag.to_owned(),
    })
}
