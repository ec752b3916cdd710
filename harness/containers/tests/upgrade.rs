//! The image of this version goes on with the volume of the previous one's, and is updated under its users.

use containers::{ContainerServer, Engine, Options, engine_for, previous_for};
use harness::client::Session;
use harness::cluster::crash_lines;
use harness::previous;
use harness::runtime::wait_for;

async fn start(engine: &Engine, options: &Options) -> (ContainerServer, Session) {
    let server = ContainerServer::start(engine, options)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let session = Session::connect(&server, "postgres").await.unwrap();
    (server, session)
}

/// How often the scheduler has complained. It has not crashed.
async fn complaints(server: &ContainerServer) -> usize {
    let log = server.log().await.unwrap();
    assert_eq!(crash_lines(&log), Vec::<String>::new());
    log.matches(previous::COMPLAINT).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volume_of_the_previous_version_is_updated() {
    let test = "the_volume_of_the_previous_version_is_updated";
    let Some(engine) = engine_for(test).await else {
        return;
    };
    let Some(former) = previous_for(test, &engine).await else {
        return;
    };
    let volume = tempfile::tempdir().expect("a folder");
    let options = Options::default().data(volume.path());
    let unscheduled = options.clone().setting("pg_trickle.enabled", "off");
    let (server, session) = start(&former, &unscheduled).await;
    previous::before(&session).await.unwrap();
    drop(session);
    assert_eq!(server.stop("SIGINT", 60).await.unwrap(), Some(0));
    drop(server);

    let (server, session) = start(&engine, &options).await;
    let has_gone = "SELECT pgtrickle.scheduler_state() = 'NO_SCHEDULER'";
    wait_for(&session, has_gone).await.unwrap();
    previous::between(&session).await.unwrap();
    assert_eq!(complaints(&server).await, 1);
    previous::update(&session).await.unwrap();
    assert_eq!(complaints(&server).await, 1);
}
