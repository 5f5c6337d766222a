//! Uploads to registries in this process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::client::Registries;
use super::config::RegistryConfig;
use super::error::RegistryError;
use super::manifest::Descriptor;
use super::manifest_text::ManifestText;
use super::session::Session;
use super::test_server::{Asked, Reply, Server, descriptor};
use super::upload::Arrival;
use crate::resource::failure::FailureKind;
use crate::resource::image::Credentials;

/// A registry that keeps what it is sent; `knows` says whether it remembers uploads whose connection broke.
async fn registry(knows: bool) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
    let state = Arc::clone(&kept);
    let server = Server::start(move |asked| {
        let mut kept = state.lock().expect("no panic");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("HEAD", _) => Reply::of(404, ""),
            ("POST", "/v2/app/blobs/uploads/") => {
                kept.clear();
                Reply::of(202, "").with("location", "/upload?state=1")
            }
            ("POST", path) if path.contains("from=mine") => Reply::of(201, ""),
            ("POST", path) if path.contains("from=secret") => Reply::refusal(401, "UNAUTHORIZED", "authentication required"),
            ("POST", _) => Reply::of(202, "").with("location", "/upload?state=1"),
            ("PATCH", "/upload?state=1") => {
                kept.extend(&asked.body);
                Reply::of(202, "").with("location", "upload?state=1")
            }
            ("GET", "/upload?state=1") if knows => Reply::of(204, "").with("range", format!("0-{}", kept.len() - 1)),
            ("PUT", path) if path.starts_with("/upload?state=1&digest=") => {
                kept.extend(&asked.body);
                let is_whole = path.ends_with(&descriptor(&kept).digest.to_string());
                if is_whole { Reply::of(201, "") } else { Reply::refusal(400, "DIGEST_INVALID", "another digest") }
            }
            ("PUT", path) if path.contains("/manifests/") => Reply::of(201, ""),
            _ => Reply::of(404, ""),
        }
    })
    .await;
    (server, kept)
}

async fn session(server: &Server, others: &[&str], credentials: Option<Credentials>) -> Session {
    session_of(RegistryConfig::default(), &format!("{}/app", server.host()), others, credentials).await
}

async fn session_of(config: RegistryConfig, reference: &str, others: &[&str], credentials: Option<Credentials>) -> Session {
    let registries = Registries::new(config).expect("a good configuration");
    let others: Vec<String> = others.iter().map(|other| (*other).to_owned()).collect();
    registries.push_session(&reference.parse().expect("a reference"), credentials, &others).await.expect("a session")
}

struct Blob {
    _folder: tempfile::TempDir,
    path: PathBuf,
    descriptor: Descriptor,
    bytes: Vec<u8>,
}

/// A file of so many bytes.
fn blob(length: usize) -> Blob {
    let bytes: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[at % 3]).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("blob");
    std::fs::write(&path, &bytes).expect("a file");
    Blob { _folder: folder, path, descriptor: descriptor(&bytes), bytes }
}

async fn upload(session: &Session, blob: &Blob, others: &[&str]) -> Result<Arrival, RegistryError> {
    let others: Vec<String> = others.iter().map(|other| (*other).to_owned()).collect();
    session.upload(&blob.descriptor, &blob.path, &others, Arc::new(|_| {})).await
}

fn methods(server: &Server) -> String {
    server.asked().iter().map(|asked| asked.method.clone()).collect::<Vec<_>>().join(" ")
}

fn password() -> Option<Credentials> {
    Some(Credentials::Password { username: "me".to_owned(), password: "secret".to_owned() })
}

#[tokio::test]
async fn small_blobs_go_at_once_and_large_ones_in_two_steps() {
    for (length, expect) in [(0, "HEAD POST PUT"), (7, "HEAD POST PUT"), (3_000_000, "HEAD POST PATCH PUT")] {
        let (server, kept) = registry(true).await;
        let blob = blob(length);
        let told: Arc<Mutex<u64>> = Arc::default();
        let note = Arc::clone(&told);
        let sending = Arc::new(move |bytes| *note.lock().expect("no panic") = bytes);
        let session = session(&server, &[], None).await;
        assert_eq!(session.upload(&blob.descriptor, &blob.path, &[], sending).await.expect("sent"), Arrival::Sent);
        assert_eq!(methods(&server), expect);
        assert!(*kept.lock().expect("no panic") == blob.bytes && *told.lock().expect("no panic") == length as u64);
    }
}

#[tokio::test]
async fn what_breaks_off_is_taken_up_where_the_registry_has_it() {
    let (server, kept) = registry(true).await;
    let blob = blob(5_000_000);
    server.cut_after(2_000_000);
    assert_eq!(upload(&session(&server, &[], None).await, &blob, &[]).await.expect("sent"), Arrival::Sent);
    assert_eq!(methods(&server), "HEAD POST PATCH GET PATCH PUT");
    assert_eq!(server.asked()[4].content_range, "2000000-4999999");
    assert!(*kept.lock().expect("no panic") == blob.bytes);
    // A registry that forgot is sent all of it again.
    let (server, kept) = registry(false).await;
    server.cut_after(2_000_000);
    assert_eq!(upload(&session(&server, &[], None).await, &blob, &[]).await.expect("sent"), Arrival::Sent);
    assert_eq!(methods(&server), "HEAD POST PATCH GET POST PATCH PUT");
    assert!(*kept.lock().expect("no panic") == blob.bytes);
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_given_up() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "HEAD" => Reply::of(404, ""),
        "POST" => Reply::of(202, "").with("location", "/upload"),
        _ => Reply::of(503, ""),
    })
    .await;
    let error = upload(&session(&server, &[], None).await, &blob(5), &[]).await.expect_err("given up");
    assert!(error.to_string().contains("answered 503 when asked for the upload of blob sha256:"), "{error}");
    assert_eq!(server.asked().iter().filter(|asked| asked.method == "PUT").count(), 5);
}

#[tokio::test]
async fn blobs_are_taken_from_other_repositories_where_the_registry_lets_us() {
    let blob = blob(5);
    let check = async |others: &[&str], expect: Arrival, requests: &str| {
        let (server, _) = registry(true).await;
        assert_eq!(upload(&session(&server, others, password()).await, &blob, others).await.expect("there"), expect);
        assert_eq!(methods(&server), requests);
    };
    check(&["mine"], Arrival::Mounted("mine".to_owned()), "HEAD POST").await;
    check(&["secret", "mine"], Arrival::Mounted("mine".to_owned()), "HEAD POST POST").await;
    check(&["secret"], Arrival::Sent, "HEAD POST POST PUT").await;
    // The upload that a registry began instead is gone on with, unless another repository has the blob.
    check(&["empty"], Arrival::Sent, "HEAD POST PUT").await;
    check(&["empty", "none"], Arrival::Sent, "HEAD POST POST DELETE PUT").await;
}

#[tokio::test]
async fn one_token_lets_in_for_all_there_is_to_do() {
    let scopes = "scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Amine%3Apull";
    let tokens = Server::start(move |asked| match asked.path.split_once('?') {
        Some((_, query)) if query == format!("service=here&{scopes}&account=me") => Reply::of(200, r#"{"token":"t0ken"}"#),
        _ => Reply::of(401, "{}"),
    })
    .await;
    let host = tokens.host();
    let server = Server::start(move |asked: &Asked| match (asked.authorization.as_str(), asked.method.as_str()) {
        ("Bearer t0ken", "HEAD") => Reply::of(404, ""),
        ("Bearer t0ken", "POST") if asked.path.contains("from=mine") => Reply::of(201, ""),
        ("Bearer t0ken", "PUT") => Reply::of(201, ""),
        _ => Reply::refusal(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="here",scope="repository:app:pull""#)),
    })
    .await;
    let session = session(&server, &["mine"], password()).await;
    assert_eq!(upload(&session, &blob(5), &["mine"]).await.expect("there"), Arrival::Mounted("mine".to_owned()));
    session.put_manifest("1", &ManifestText::new(&descriptor(b"x"), &[])).await.expect("a tag");
    assert_eq!(tokens.asked().len(), 1);
}

#[tokio::test]
async fn who_may_not_push_is_told_so_at_once() {
    let denied = Server::start(|asked| match asked.method.as_str() {
        "HEAD" => Reply::of(404, ""),
        _ => Reply::refusal(403, "DENIED", "requested access to the resource is denied"),
    })
    .await;
    let error = upload(&session(&denied, &[], password()).await, &blob(5), &[]).await.expect_err("refused");
    assert_eq!(error.kind(), FailureKind::Denied);
    assert!(error.to_string().contains("denied: requested access to the resource is denied"), "{error}");
    assert_eq!(methods(&denied), "HEAD POST");
    let basic = Server::start(|_| Reply::refusal(401, "UNAUTHORIZED", "x").with("www-authenticate", "Basic realm=x")).await;
    let error = upload(&session(&basic, &[], None).await, &blob(5), &[]).await.expect_err("refused");
    assert!(error.to_string().contains("no basic auth credentials"), "{error}");
}

#[tokio::test]
async fn blobs_that_are_sent_elsewhere_carry_no_secrets() {
    let storage = Server::start(|_| Reply::of(201, "")).await;
    let place = format!("http://localhost:{}/blob?signature=1", storage.address.port());
    let server = Server::start(move |asked| match (asked.authorization.as_str(), asked.method.as_str()) {
        ("", _) => Reply::of(401, "").with("www-authenticate", "Basic realm=x"),
        (_, "HEAD") => Reply::of(404, ""),
        _ => Reply::of(202, "").with("location", place.clone()),
    })
    .await;
    assert_eq!(upload(&session(&server, &[], password()).await, &blob(5), &[]).await.expect("sent"), Arrival::Sent);
    let asked = storage.asked();
    assert_eq!((asked.len(), asked[0].authorization.as_str(), asked[0].body.len()), (1, "", 5));
}

#[tokio::test]
async fn a_token_that_runs_out_before_the_end_is_renewed() {
    let drawn = Arc::new(Mutex::new(0));
    let count = Arc::clone(&drawn);
    let tokens = Server::start(move |_| {
        let mut count = count.lock().expect("no panic");
        *count += 1;
        Reply::of(200, format!(r#"{{"token":"t{count}"}}"#))
    })
    .await;
    let host = tokens.host();
    let server = Server::start(move |asked: &Asked| {
        let has = |token: &str| asked.authorization == format!("Bearer {token}");
        match asked.method.as_str() {
            "HEAD" if has("t1") => Reply::of(404, ""),
            "POST" | "PATCH" if has("t1") => Reply::of(202, "").with("location", "/upload?state=1"),
            "PUT" if has("t2") => Reply::of(201, ""),
            _ => Reply::of(401, "").with("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="here""#)),
        }
    })
    .await;
    let sent = upload(&session(&server, &[], password()).await, &blob(2 << 20), &[]).await.expect("sent");
    assert_eq!((sent, methods(&server).as_str()), (Arrival::Sent, "HEAD HEAD POST PATCH PUT PUT"));
    assert_eq!(*drawn.lock().expect("no panic"), 2);
}

#[tokio::test]
async fn what_another_host_wants_to_know_of_us_it_is_not_told() {
    let tokens = Server::start(|_| Reply::of(200, r#"{"token":"theirs"}"#)).await;
    let theirs = tokens.host();
    let storage = Server::start(move |_| {
        Reply::of(401, "").with("www-authenticate", format!(r#"Bearer realm="http://{theirs}/token",service="there""#))
    })
    .await;
    let place = format!("http://localhost:{}/blob", storage.address.port());
    let server = Server::start(move |asked| match (asked.authorization.as_str(), asked.method.as_str()) {
        ("", _) => Reply::of(401, "").with("www-authenticate", "Basic realm=x"),
        (_, "HEAD") => Reply::of(404, ""),
        _ => Reply::of(202, "").with("location", place.clone()),
    })
    .await;
    for length in [5, 2 << 20] {
        upload(&session(&server, &[], password()).await, &blob(length), &[]).await.expect_err("refused");
    }
    assert!(tokens.asked().is_empty());
    assert!(storage.asked().iter().all(|asked| asked.authorization.is_empty()));
}

#[test]
fn one_place_is_written_in_many_ways() {
    let check = |one: &str, other: &str, expect| {
        let parse = |text: &str| text.parse().expect("a URL");
        assert_eq!(super::client::is_same_place(&parse(one), &parse(other)), expect, "{one} {other}");
    };
    check("https://registry.example/a", "https://Registry.example:443/b", true);
    check("http://registry.example:80/a", "http://registry.example/b", true);
    check("https://registry.example", "http://registry.example", false);
    check("https://registry.example", "https://registry.example:5000", false);
    check("https://registry.example", "https://other.example", false);
}

#[tokio::test]
async fn mirrors_are_pulled_from_and_never_pushed_to() {
    let mirror = Server::start(|_| Reply::of(200, "")).await;
    // Docker Hub itself is not to be reached: by a proxy that nobody runs.
    let nobody = "http://127.0.0.1:1".to_owned();
    let config =
        RegistryConfig { mirrors: vec![format!("http://{}", mirror.host())], https_proxy: Some(nobody), ..RegistryConfig::default() };
    let error = upload(&session_of(config, "app:1", &[], None).await, &blob(5), &[]).await.expect_err("nobody there");
    assert!(matches!(error, RegistryError::Unreachable { .. }) && mirror.asked().is_empty(), "{error}");
}
