//! The address of a node: the parameters by which Citus itself would connect to it, from its catalog and its settings.
//!
//! libpq takes keywords and values one by one, so that none is quoted. Where Citus stores several in one string, libpq
//! takes them apart.

use pgrx::Spi;

use crate::error::{Error, Result};
use crate::pg::libpq;
use crate::pg::settings;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name of its host, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: i32,
}

/// Pairs of keywords and values.
pub type Parameters = Vec<(String, String)>;

/// What Citus knows of the nodes `$1`, `$2`: where a pooler answers for one, and how the current role shows who it is. The row
/// of a node counts before that of all (0), which has the name of no node; -1 is this server by its own name.
const KNOWN: &str = "
SELECT p.poolinfo, a.authinfo, pg_catalog.current_database()::pg_catalog.text, CURRENT_USER::pg_catalog.text,
    pg_catalog.getdatabaseencoding()::pg_catalog.text, pg_catalog.citus_backend_gpid()::pg_catalog.text
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.int4[])) WITH ORDINALITY AS w(host, port, place)
LEFT JOIN pg_catalog.pg_dist_node n ON n.nodename OPERATOR(pg_catalog.=) w.host AND n.nodeport OPERATOR(pg_catalog.=) w.port
LEFT JOIN pg_catalog.pg_dist_poolinfo p ON p.nodeid OPERATOR(pg_catalog.=) n.nodeid
LEFT JOIN LATERAL (
    SELECT i.authinfo FROM pg_catalog.pg_dist_authinfo i
    WHERE i.rolename OPERATOR(pg_catalog.=) CURRENT_USER
        AND (i.nodeid OPERATOR(pg_catalog.=) 0 OR i.nodeid OPERATOR(pg_catalog.=) CASE
            WHEN w.host OPERATOR(pg_catalog.=) pg_catalog.current_setting('citus.local_hostname')
                AND w.port OPERATOR(pg_catalog.=) pg_catalog.current_setting('port')::pg_catalog.int4 THEN -1
            ELSE n.nodeid END)
    ORDER BY i.nodeid OPERATOR(pg_catalog.=) 0 LIMIT 1) a ON true
ORDER BY w.place";

/// How the current role connects to each of these nodes.
pub fn of(nodes: &[Node]) -> Result<Vec<Parameters>> {
    let hosts: Vec<&str> = nodes.iter().map(|node| node.host.as_str()).collect();
    let ports: Vec<i32> = nodes.iter().map(|node| node.port).collect();
    let common = libpq::parse(&settings::current(c"citus.node_conninfo").unwrap_or_default())?;
    let mut known = Vec::new();
    Spi::connect(|client| {
        for row in client.select(KNOWN, None, &[hosts.into(), ports.into()])? {
            let text = |at| row.get::<String>(at).map(Option::unwrap_or_default);
            known.push(Known {
                pool: text(1)?,
                proof: text(2)?,
                database: text(3)?,
                role: text(4)?,
                encoding: text(5)?,
                process: text(6)?,
            });
        }
        Ok::<_, pgrx::spi::Error>(())
    })
    .map_err(|error| Error::Internal(error.to_string()))?;
    let nodes = nodes.iter().zip(&known);
    nodes
        .map(|(node, known)| known.address(node, &common))
        .collect()
}

struct Known {
    pool: String,
    proof: String,
    database: String,
    role: String,
    encoding: String,
    process: String,
}

impl Known {
    fn address(&self, node: &Node, common: &Parameters) -> Result<Parameters> {
        let pool = libpq::parse(&self.pool)?;
        let proof = libpq::parse(&self.proof)?;
        Ok(self.join(node, common, pool, proof))
    }

    /// A host among the common parameters is the name that certificates have; then the name of the node must be an address.
    fn join(
        &self,
        node: &Node,
        common: &Parameters,
        pool: Parameters,
        proof: Parameters,
    ) -> Parameters {
        let place = match common.iter().any(|(keyword, _)| keyword == "host") {
            true => "hostaddr",
            false => "host",
        };
        // Citus takes sessions of this name for those of its own functions that run commands.
        let session = format!("citus_run_command gpid={}", self.process);
        let own = [
            ("host", node.host.clone()),
            ("port", node.port.to_string()),
            ("dbname", self.database.clone()),
        ];
        let mut all = common.clone();
        for (keyword, value) in own {
            let pooled = pool.iter().find(|(found, _)| found == keyword);
            let value = pooled.map_or(value, |(_, value)| value.clone());
            let keyword = if keyword == "host" { place } else { keyword };
            all.push((keyword.to_owned(), value));
        }
        all.push(("user".to_owned(), self.role.clone()));
        all.push(("client_encoding".to_owned(), self.encoding.clone()));
        all.push(("application_name".to_owned(), session));
        all.extend(proof);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Parameters {
        let pairs = all.iter();
        pairs
            .map(|(keyword, value)| ((*keyword).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn names_stay_as_they_are_wherever_a_pooler_answers() {
        let known = Known {
            pool: String::new(),
            proof: String::new(),
            database: "a' host=elsewhere".into(),
            role: "r\\".into(),
            encoding: "UTF8".into(),
            process: "10000000007".into(),
        };
        let node = Node {
            host: "one two".into(),
            port: 5433,
        };
        let rest = [
            ("user", "r\\"),
            ("client_encoding", "UTF8"),
            ("application_name", "citus_run_command gpid=10000000007"),
        ];
        let mut direct = pairs(&[
            ("sslmode", "require"),
            ("host", "one two"),
            ("port", "5433"),
            ("dbname", "a' host=elsewhere"),
        ]);
        direct.extend(pairs(&rest));
        let common = pairs(&[("sslmode", "require")]);
        assert_eq!(known.join(&node, &common, vec![], vec![]), direct);

        let mut pooled = pairs(&[
            ("host", "of certificates"),
            ("hostaddr", "pooler"),
            ("port", "6432"),
            ("dbname", "a' host=elsewhere"),
        ]);
        pooled.extend(pairs(&rest));
        pooled.extend(pairs(&[("sslcert", "x")]));
        let found = known.join(
            &node,
            &pairs(&[("host", "of certificates")]),
            pairs(&[("host", "pooler"), ("port", "6432")]),
            pairs(&[("sslcert", "x")]),
        );
        assert_eq!(found, pooled);
    }
}
