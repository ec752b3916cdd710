//! What a malicious role gains by what she writes: nothing but what she has.
//!
//! Others do innocent things: a superuser refreshes, alters and converts what is hers, writers write, workers work.

mod mallory;

use harness::client::Session;
use harness::cluster::SUPERUSER;
use harness::insist::{exact, run, value};
use harness::runtime::scheduled_cluster;
use mallory::{INSERT, PLACES, Place, TABLES, only_mallory, refused, set_up, world};

#[tokio::test(flavor = "multi_thread")]
async fn mallory_gains_nothing() {
    let cluster = scheduled_cluster(&[("pg_trickle.enabled", "off")]).expect("a cluster");
    let admin = Session::connect(&cluster, "postgres")
        .await
        .expect("a session");
    let world = world(&cluster).await;
    let place = async |name: &str| Place {
        cluster: &cluster,
        database: world.database(name, &[]).await.expect("a database"),
    };
    tokio::join!(
        what_a_superuser_does_to_a_stream_table_runs_as_its_owner(place("superuser").await),
        what_stands_in_front_of_the_engines_objects_is_not_met(place("shadows").await),
        row_security_and_definers_rights_hold_when_they_come_later(place("rows").await),
    );
    run(&admin, "ALTER SYSTEM SET pg_trickle.enabled = on").await;
    run(&admin, "SELECT pg_reload_conf()").await;
    workers_and_writers_run_an_owners_functions_with_his_rights(place("workers").await).await;
}

async fn what_a_superuser_does_to_a_stream_table_runs_as_its_owner(place: Place<'_>) {
    let (session, mallory) = set_up(&place).await;
    let each = async |session: &Session, call: &str| {
        for (name, _) in TABLES {
            run(session, &call.replace('?', name)).await;
        }
    };
    run(&mallory, INSERT).await;
    run(&session, "DELETE FROM m.who").await;
    // A session that has no plans yet makes them.
    let fresh = place.session(SUPERUSER).await;
    each(&fresh, "SELECT pgtrickle.refresh_stream_table('?')").await;
    only_mallory(&session, &PLACES, "refreshing").await;
    each(
        &fresh,
        "SELECT pgtrickle.refresh_stream_table('?', force_full => true)",
    )
    .await;
    only_mallory(&session, &PLACES[..3], "recomputing").await;
    let fresh = place.session(SUPERUSER).await;
    each(
        &fresh,
        "SELECT * FROM pgtrickle.explain_st('?'), pgtrickle.get_refresh_history('?')",
    )
    .await;
    only_mallory(&session, &["limit"], "explaining").await;
    for mode in ["FULL", "DIFFERENTIAL"] {
        let alter = format!("SELECT pgtrickle.alter_stream_table('?', refresh_mode => '{mode}')");
        each(&fresh, &alter).await;
    }
    only_mallory(&session, &PLACES[..6], "altering").await;

    // A column of a domain comes into a buffer that is not empty.
    run(
        &mallory,
        "CREATE TABLE m.u (id int PRIMARY KEY, v m.d);
         SELECT pgtrickle.create_stream_table('m.ids', 'SELECT id FROM m.u');
         INSERT INTO m.u VALUES (1, 1);
         SELECT pgtrickle.create_stream_table('m.values', 'SELECT id, v FROM m.u')",
    )
    .await;
    only_mallory(&session, &["domain"], "capturing another column").await;
    run(&session, "SELECT pgtrickle.refresh_stream_table('m.ids')").await;
    exact(&session, &["m.ids", "m.values"]).await;

    run(
        &mallory,
        "CREATE MATERIALIZED VIEW m.mv AS SELECT id, m.query(g) AS q FROM m.t WHERE a <> '{3}'::m.d[];
         CREATE INDEX ON m.mv (m.index(q)) WHERE id <> ALL ('{3}'::m.d[])",
    )
    .await;
    run(&session, "DELETE FROM m.who").await;
    run(
        &session,
        "SELECT pgtrickle.convert_materialized_view('m.mv')",
    )
    .await;
    only_mallory(&session, &["query", "domain", "index"], "converting").await;
    let owner = "SELECT relowner::regrole FROM pg_class WHERE oid = 'm.mv'::regclass";
    assert_eq!(value(&session, owner).await, "mallory");
    for (name, _) in TABLES {
        exact(&mallory, &[name]).await;
    }
    run(&session, "DELETE FROM m.who").await;
    each(
        &fresh,
        "SELECT pgtrickle.drop_stream_table('?', cascade => true)",
    )
    .await;
    only_mallory(&session, &[], "dropping").await;
}

async fn workers_and_writers_run_an_owners_functions_with_his_rights(place: Place<'_>) {
    let (session, mallory) = set_up(&place).await;
    for (name, _) in TABLES {
        run(
            &mallory,
            &format!("SELECT pgtrickle.alter_stream_table('{name}', schedule => 'calculated')"),
        )
        .await;
    }
    run(&mallory, INSERT).await;
    for (name, _) in TABLES {
        exact(&mallory, &[name]).await;
    }
    only_mallory(&session, &PLACES, "in a worker").await;
    for (name, _) in TABLES.iter().take(5) {
        run(
            &mallory,
            &format!("SELECT pgtrickle.alter_stream_table('{name}', refresh_mode => 'IMMEDIATE')"),
        )
        .await;
    }
    for writer in ["postgres", "bob"] {
        run(&session, "DELETE FROM m.who").await;
        let fresh = place.session(writer).await;
        run(
            &fresh,
            "UPDATE m.t SET g = g + 1 WHERE id < 5; DELETE FROM m.t WHERE id = 5",
        )
        .await;
        only_mallory(&session, &["query", "operator", "cast", "trigger"], writer).await;
        for setting in ["search_path", "session_replication_role"] {
            let is_as_before =
                format!("SELECT setting = reset_val FROM pg_settings WHERE name = '{setting}'");
            assert_eq!(
                value(&fresh, &is_as_before).await,
                "t",
                "{setting} of {writer}"
            );
        }
        run(&mallory, "INSERT INTO m.t VALUES (5, 0, 6, '{1}')").await;
        for (name, _) in TABLES {
            exact(&mallory, &[name]).await;
        }
    }
}
/// Objects that stand in front of those that the engine means, in a schema where everybody may create.
const SHADOWS: &str = "
    CREATE FUNCTION public.shadow() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM m.note('shadow'); RETURN true; END $$;
    CREATE FUNCTION public.oid_is(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN public.shadow(); END $$;
    CREATE OPERATOR public.= (FUNCTION = public.oid_is, LEFTARG = oid, RIGHTARG = regclass);
    CREATE FUNCTION public.oid_is(oid, regnamespace) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN public.shadow(); END $$;
    CREATE OPERATOR public.= (FUNCTION = public.oid_is, LEFTARG = oid, RIGHTARG = regnamespace);
    CREATE FUNCTION public.int_is(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN public.shadow(); END $$;
    CREATE OPERATOR public.= (FUNCTION = public.int_is, LEFTARG = int, RIGHTARG = int);
    CREATE FUNCTION public.count() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM public.shadow(); RETURN 0; END $$;
    CREATE FUNCTION public.row_image_hash(int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM public.shadow(); RETURN 0; END $$;
    CREATE FUNCTION public.pg_event_trigger_dropped_objects() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN PERFORM public.shadow(); END $$;
    CREATE TABLE public.pgt_stream_tables (x int);
    CREATE TABLE public.pgt_dependencies (x int);
    CREATE DOMAIN public.int4 AS text;
    CREATE DOMAIN public.int8 AS text";

async fn what_stands_in_front_of_the_engines_objects_is_not_met(place: Place<'_>) {
    let (session, mallory) = set_up(&place).await;
    run(&session, "GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC").await;
    run(&mallory, SHADOWS).await;
    // The judge is no part of the engine.
    run(&session, "SET search_path = pg_catalog").await;
    // Also in a session that asks for trouble.
    for path in [
        "public, pg_catalog",
        "pg_temp, public, pg_catalog",
        "\"$user\", public",
    ] {
        let victim = place.session(SUPERUSER).await;
        run(
            &victim,
            &format!(
                "CREATE TABLE public.s (id pg_catalog.int4 PRIMARY KEY, g pg_catalog.int4);
                 CREATE TEMP TABLE pgt_refresh_history (x pg_catalog.int4);
                 CREATE TEMP TABLE t (x pg_catalog.int4);
                 SET search_path = {path};
                 SELECT pgtrickle.create_stream_table('public.by_g', 'SELECT g, pg_catalog.count(*) AS n FROM public.s GROUP BY g', refresh_mode => 'DIFFERENTIAL');
                 SELECT pgtrickle.create_stream_table('public.at_once', 'SELECT id, g FROM public.s', refresh_mode => 'IMMEDIATE');
                 INSERT INTO public.s VALUES (1, 1), (2, 1);
                 SELECT pgtrickle.refresh_stream_table('public.by_g');
                 SELECT pgtrickle.refresh_stream_table('public.by_g', force_full => true);
                 ALTER TABLE public.s ADD COLUMN more pg_catalog.int4;
                 ALTER TABLE public.s RENAME g TO h; ALTER TABLE public.s RENAME h TO g;
                 SELECT pgtrickle.alter_stream_table('public.by_g', refresh_mode => 'FULL');
                 SELECT * FROM pgtrickle.pgt_status();
                 SELECT * FROM pgtrickle.health_check();
                 SELECT pgtrickle.restore_stream_tables();
                 UPDATE public.s SET g = 2 WHERE id OPERATOR(pg_catalog.=) 2;
                 SELECT pgtrickle.refresh_stream_table('public.by_g')"
            ),
        )
        .await;
        exact(&session, &["public.by_g", "public.at_once"]).await;
        run(&victim, "DROP TABLE public.s CASCADE; DROP TABLE t").await;
        only_mallory(&session, &[], path).await;
    }
}

async fn row_security_and_definers_rights_hold_when_they_come_later(place: Place<'_>) {
    let (session, mallory) = set_up(&place).await;
    run(
        &session,
        "CREATE TABLE doc (id int PRIMARY KEY, owner name, v int);
         INSERT INTO doc SELECT i, CASE i % 2 WHEN 0 THEN 'mallory' ELSE 'bob' END, i FROM generate_series(1, 6) i;
         GRANT SELECT, TRIGGER ON doc TO mallory;
         CREATE VIEW shown WITH (security_barrier) AS SELECT id, v FROM doc WHERE owner = 'mallory';
         GRANT SELECT ON shown TO mallory;
         CREATE FUNCTION rights() RETURNS text STABLE SECURITY DEFINER LANGUAGE sql RETURN current_user::text",
    )
    .await;
    run(
        &mallory,
        "SELECT pgtrickle.create_stream_table('m.docs', 'SELECT id, v FROM public.doc', refresh_mode => 'DIFFERENTIAL');
         SELECT pgtrickle.create_stream_table('m.at_once', 'SELECT id, v FROM public.doc', refresh_mode => 'IMMEDIATE');
         SELECT pgtrickle.create_stream_table('m.barred', 'SELECT id, v FROM public.shown WHERE m.query(id) > 0');
         SELECT pgtrickle.create_stream_table('m.defined', 'SELECT id, public.rights() AS r, current_user AS u FROM m.t')",
    )
    .await;
    let defined = "SELECT DISTINCT r || ' ' || u FROM m.defined";
    assert_eq!(value(&session, defined).await, "postgres mallory");
    run(&session, "DELETE FROM m.who").await;
    // The view's condition is hers to read through, not to get around.
    run(
        &session,
        "UPDATE doc SET v = v + 10; SELECT pgtrickle.refresh_stream_table('m.barred')",
    )
    .await;
    only_mallory(&session, &["query"], "through a view").await;
    assert_eq!(
        value(
            &session,
            "SELECT string_agg(id::text, ',' ORDER BY id) FROM m.barred"
        )
        .await,
        "2,4,6"
    );
    // An IMMEDIATE one cannot follow what depends on who reads; the other one is recomputed.
    let secure = "ALTER TABLE doc ENABLE ROW LEVEL SECURITY";
    assert_eq!(refused(&session, secure).await, "0A000");
    run(
        &session,
        "SELECT pgtrickle.drop_stream_table('m.at_once');
         ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON doc USING (owner = current_user);
         UPDATE doc SET v = v + 10;
         SELECT pgtrickle.refresh_stream_table('m.docs')",
    )
    .await;
    let ids = "SELECT string_agg(id::text, ',' ORDER BY id) FROM m.docs";
    assert_eq!(value(&session, ids).await, "2,4,6");
    // Row security on the stream table itself is for its readers, not for its refreshes.
    run(
        &mallory,
        "SELECT pgtrickle.create_stream_table('m.groups', 'SELECT g, count(*) AS n FROM m.t GROUP BY g');
         ALTER TABLE m.groups ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY none ON m.groups USING (g > 100);
         GRANT SELECT ON m.groups TO bob",
    )
    .await;
    run(&mallory, INSERT).await;
    run(
        &session,
        "SELECT pgtrickle.refresh_stream_table('m.groups')",
    )
    .await;
    exact(&session, &["m.groups"]).await;
    let bob = place.session("bob").await;
    assert_eq!(value(&bob, "SELECT count(*) FROM m.groups").await, "0");
    // A revoked right ends what was read by it.
    run(
        &session,
        "REVOKE ALL ON doc FROM mallory; UPDATE doc SET v = 0",
    )
    .await;
    let refresh = "SELECT pgtrickle.refresh_stream_table('m.docs')";
    assert_eq!(refused(&session, refresh).await, "42501");
}
