//! What registries say of an image.

use anyhow::{Context, Result, bail};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde::Deserialize;

/// The two names of an index.
const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Access to registries, anonymous.
pub struct Registries {
    client: Client,
}

/// What is read of an index.
#[derive(Deserialize)]
struct Index {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Registries {
    /// Over TLS, but for these hosts.
    pub fn new(plain_hosts: Vec<String>) -> Self {
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain_hosts),
            ..Default::default()
        };
        Self {
            client: Client::new(config),
        }
    }

    /// The digest of the multi-platform index behind a tag, and its platforms. The digest is the one that the
    /// registry names, and the hash of what it delivers.
    pub async fn resolve(&self, tagged: &str) -> Result<(String, Vec<String>)> {
        let reference: Reference = tagged.parse().with_context(|| format!("`{tagged}`"))?;
        let anonymous = RegistryAuth::Anonymous;
        let digest = self
            .client
            .fetch_manifest_digest(&reference, &anonymous)
            .await
            .map_err(|error| explain(tagged, error))?;
        let pinned = reference.clone_with_digest(digest.clone());
        let (body, hashed) = self
            .client
            .pull_manifest_raw(&pinned, &anonymous, &INDEX_TYPES)
            .await
            .map_err(|error| explain(tagged, error))?;
        if hashed != digest {
            bail!("{tagged}: the registry names {digest} and delivers {hashed}");
        }
        let index: Index = serde_json::from_slice(&body)
            .with_context(|| format!("{tagged}: what the registry delivers is no manifest"))?;
        let media_type = index
            .media_type
            .as_deref()
            .unwrap_or("a manifest without a type");
        let is_index = index.media_type.is_none() || INDEX_TYPES.contains(&media_type);
        match index.manifests {
            Some(entries) if is_index => Ok((digest, platforms(entries))),
            _ => bail!("{tagged} is no multi-platform index but {media_type}"),
        }
    }
}

fn platforms(entries: Vec<Entry>) -> Vec<String> {
    let mut names: Vec<String> = entries
        .into_iter()
        .filter_map(|entry| entry.platform)
        // Attestations stand among the images.
        .filter(|platform| platform.os != "unknown")
        .map(
            |Platform {
                 os,
                 architecture,
                 variant,
             }| match variant {
                Some(variant) => format!("{os}/{architecture}/{variant}"),
                None => format!("{os}/{architecture}"),
            },
        )
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Whether the registry wants fewer requests.
fn limits(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code, .. } => *code == 429,
        OciDistributionError::RegistryError { envelope, .. } => envelope
            .errors
            .iter()
            .any(|error| error.code == OciErrorCode::Toomanyrequests),
        _ => false,
    }
}

/// What went wrong, and what to do about it.
fn explain(tagged: &str, error: OciDistributionError) -> anyhow::Error {
    let remedy = match &error {
        _ if limits(&error) => "the registry limits requests: wait, and run the command again",
        OciDistributionError::RequestError(_) => {
            "the registry cannot be reached: is there a network, and is the name right?"
        }
        OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::UnauthorizedError { .. } => {
            "the registry wants a login: only public images can be resolved"
        }
        _ => "the registry does not deliver it: do name and tag exist?",
    };
    anyhow::Error::new(error).context(format!("{tagged} could not be resolved; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number in an address is no status.
    #[test]
    fn a_port_is_not_taken_for_a_limit() {
        let answer = |code| OciDistributionError::ServerError {
            code,
            url: "a:42900/v2/".to_owned(),
            message: String::new(),
        };
        let told = |code| format!("{:#}", explain("a:1", answer(code)));
        assert!(told(404).contains("do name and tag exist?"));
        assert!(told(429).contains("limits requests"));
    }
}
