//! The options of a run, for its program and for `cargo xtask soak`, which passes them on.

use crate::profile::Profile;
use crate::server::Place;

/// What a run is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long, at least; every kind of fault strikes once in any case
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// From which everything random follows; by default the time
    #[arg(long)]
    pub seed: Option<u64>,
    /// How hard
    #[arg(long, value_enum, default_value = "light")]
    pub profile: Profile,
    /// Where the server runs
    #[arg(long, value_enum, default_value = "embedded")]
    pub backend: Place,
    /// Go on with the run of --seed, or with the latest one that was interrupted
    #[arg(long)]
    pub resume: bool,
}

impl Options {
    /// As a command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--minutes={}", self.minutes),
            format!("--profile={}", self.profile.name()),
            format!("--backend={}", self.backend.name()),
        ];
        arguments.extend(self.seed.map(|seed| format!("--seed={seed}")));
        arguments.extend(self.resume.then(|| "--resume".to_owned()));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn options_arrive_as_they_were_given() {
        for given in [
            &[][..],
            &["--minutes=0.5", "--profile=brutal", "--backend=container"],
            &["--seed=7", "--resume"],
        ] {
            let program = |arguments: Vec<String>| {
                Program::parse_from(std::iter::once("soak".to_owned()).chain(arguments)).options
            };
            let options = program(given.iter().map(|text| (*text).to_owned()).collect());
            let passed_on = program(options.arguments());
            assert_eq!(format!("{options:?}"), format!("{passed_on:?}"));
        }
    }
}
