//! A malicious role and what she has: a schema, tables, functions and stream tables.
//!
//! Her functions note who runs them and try to become somebody else. They are wherever the engine may run or read
//! something of hers: in a query, an operator, a cast, an aggregate, an index, a CHECK constraint, a domain, a trigger.

// Each test file uses some of it.
#![allow(dead_code)]

use harness::client::{Session, quote_literal};
use harness::cluster::{Cluster, SUPERUSER};
use harness::scenario::World;

use harness::insist::{run, value};

/// Mallory's tools. `m.note` tells what it was called from and by whom; a row that names anybody else is hers no more.
pub const TOOLS: &str = "
    CREATE EXTENSION pg_trickle;
    GRANT USAGE ON SCHEMA pgtrickle TO mallory, bob;
    CREATE TABLE secret (x int); INSERT INTO secret VALUES (1);
    CREATE SCHEMA m AUTHORIZATION mallory; GRANT USAGE ON SCHEMA m TO PUBLIC;
    SET ROLE mallory;
    CREATE TABLE m.who (place text, what text);
    GRANT INSERT ON m.who TO PUBLIC;
    CREATE FUNCTION m.note(place text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO m.who VALUES (place, current_user);
        BEGIN
            EXECUTE 'RESET ROLE'; INSERT INTO m.who SELECT place, 'reset role' WHERE current_user <> 'mallory';
        EXCEPTION WHEN OTHERS THEN NULL; END;
        BEGIN
            EXECUTE 'SET SESSION AUTHORIZATION postgres'; INSERT INTO m.who SELECT place, 'set session' WHERE current_user <> 'mallory';
        EXCEPTION WHEN OTHERS THEN NULL; END;
        BEGIN
            PERFORM set_config('role', 'none', false); INSERT INTO m.who SELECT place, 'set_config' WHERE current_user <> 'mallory';
        EXCEPTION WHEN OTHERS THEN NULL; END;
        BEGIN
            DELETE FROM public.secret; INSERT INTO m.who VALUES (place, 'secret');
        EXCEPTION WHEN OTHERS THEN NULL; END;
        PERFORM set_config('search_path', 'm, pg_catalog', false);
        BEGIN
            PERFORM set_config('session_replication_role', 'replica', false);
        EXCEPTION WHEN OTHERS THEN NULL; END;
        RETURN true;
    END $$;
    CREATE FUNCTION m.query(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('query'); RETURN $1; END $$;
    CREATE FUNCTION m.rows() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('limit'); RETURN 5; END $$;
    CREATE FUNCTION m.check(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN m.note('check'); END $$;
    CREATE FUNCTION m.domain(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN m.note('domain'); END $$;
    CREATE FUNCTION m.index(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('index'); RETURN $1; END $$;
    CREATE FUNCTION m.same(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('operator'); RETURN $1 >= $2; END $$;
    CREATE OPERATOR m.= (FUNCTION = m.same, LEFTARG = int, RIGHTARG = int);
    CREATE FUNCTION m.add(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('aggregate'); RETURN $1 + $2; END $$;
    CREATE AGGREGATE m.sum(int) (SFUNC = m.add, STYPE = int, INITCOND = '0');
    CREATE TYPE m.pair AS (a int, b int);
    CREATE FUNCTION m.cast(int) RETURNS m.pair IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('cast'); RETURN ROW($1, 1)::m.pair; END $$;
    CREATE FUNCTION m.trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('trigger'); RETURN NEW; END $$;
    CREATE DOMAIN m.d AS int CHECK (m.domain(VALUE));
    CREATE TABLE m.t (id int PRIMARY KEY, g int, v m.d, a m.d[]);
    GRANT SELECT, INSERT, UPDATE, DELETE ON m.t TO bob;
    RESET ROLE;
    CREATE CAST (int AS m.pair) WITH FUNCTION m.cast(int)";

/// Where functions of hers run: in queries, and in what she has added to a stream table.
pub const PLACES: [&str; 9] = [
    "query",
    "operator",
    "cast",
    "domain",
    "aggregate",
    "limit",
    "index",
    "check",
    "trigger",
];

/// Her stream tables: name and query.
pub const TABLES: [(&str, &str); 6] = [
    (
        "m.by_aggregate",
        "SELECT g, m.sum(id) AS s FROM m.t GROUP BY g",
    ),
    (
        "m.by_function",
        "SELECT id, m.query(g) AS q FROM m.t WHERE m.query(id) > 0",
    ),
    (
        "m.by_operator",
        "SELECT x.id, y.g FROM m.t x JOIN m.t y ON x.id OPERATOR(m.=) y.id",
    ),
    ("m.by_cast", "SELECT id, (g::m.pair).a AS a, v FROM m.t"),
    // A hidden state, whose statements contain a literal that only functions of hers can read.
    (
        "m.by_literal",
        "SELECT g, avg(id) AS n FROM m.t WHERE a <> '{3}'::m.d[] GROUP BY g",
    ),
    (
        "m.by_limit",
        "SELECT id FROM m.t ORDER BY id LIMIT m.rows()",
    ),
];

/// A database with mallory's tools.
pub struct Place<'a> {
    pub cluster: &'a Cluster,
    pub database: String,
}

impl Place<'_> {
    /// A new session of this role's own.
    pub async fn session(&self, role: &str) -> Session {
        let session = Session::connect_as(self.cluster, &self.database, role).await;
        session.expect("a session")
    }
}

/// The SQLSTATE with which a statement is refused.
pub async fn refused(session: &Session, sql: &str) -> String {
    let outcome = session.execute(sql).await;
    run(session, "ROLLBACK").await;
    match outcome {
        Ok(()) => panic!("not refused: {sql}"),
        Err(error) => error.sqlstate,
    }
}

/// Asserts that mallory's functions have run, in these places at least, and as nobody but herself.
pub async fn only_mallory(session: &Session, places: &[&str], when: &str) {
    let others = "SELECT string_agg(DISTINCT place || ': ' || what, ', ') FROM m.who WHERE what <> 'mallory'";
    assert_eq!(value(session, others).await, "", "{when}");
    for place in places {
        let noted = format!("SELECT count(*) > 0 FROM m.who WHERE place = '{place}'");
        assert_eq!(
            value(session, &noted).await,
            "t",
            "{when}: {place} did not run"
        );
    }
    assert_eq!(
        value(session, "SELECT count(*) FROM public.secret").await,
        "1",
        "{when}"
    );
    run(session, "DELETE FROM m.who").await;
}

/// A template with her tools for databases of this cluster.
pub async fn world(cluster: &Cluster) -> World<'_> {
    let admin = Session::connect(cluster, "postgres")
        .await
        .expect("a session");
    run(&admin, "CREATE ROLE mallory LOGIN; CREATE ROLE bob LOGIN").await;
    World::new(cluster, TOOLS).await.expect("a template")
}

/// Makes mallory's stream tables. Sessions of a superuser and of hers.
pub async fn set_up(place: &Place<'_>) -> (Session, Session) {
    let session = place.session(SUPERUSER).await;
    run(&session, "SET client_min_messages = warning").await;
    let mallory = place.session("mallory").await;
    run(
        &mallory,
        "INSERT INTO m.t SELECT i, i % 2, i, '{1}' FROM generate_series(1, 4) i",
    )
    .await;
    for (name, query) in TABLES {
        let query = quote_literal(query);
        let create = format!(
            "SELECT pgtrickle.create_stream_table('{name}', {query}, schedule => '1h', refresh_mode => 'DIFFERENTIAL')"
        );
        run(&mallory, &create).await;
    }
    run(
        &mallory,
        "CREATE INDEX ON m.by_function (m.index(q));
         ALTER TABLE m.by_function ADD CHECK (m.check(q));
         CREATE TRIGGER t BEFORE INSERT OR UPDATE ON m.by_function FOR EACH ROW EXECUTE FUNCTION m.trigger()",
    )
    .await;
    only_mallory(&session, &PLACES[..6], "creating").await;
    (session, mallory)
}

pub const INSERT: &str = "INSERT INTO m.t SELECT max(id) + 1, 0, 6, '{1}' FROM m.t";
