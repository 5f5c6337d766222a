//! Against registries in this process.

use std::io::{Read, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::Registries;
use super::config::RegistryConfig;
use super::error::RegistryError;
use super::session::Session;
use super::test_server::{Asked, Reply, Server, descriptor};
use crate::resource::failure::FailureKind;
use crate::resource::image::Credentials;

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const CONTENT: &[u8] = b"0123456789";

async fn session(reference: &str, credentials: Option<Credentials>) -> Session {
    session_of(RegistryConfig::default(), reference, credentials).await
}

async fn session_of(config: RegistryConfig, reference: &str, credentials: Option<Credentials>) -> Session {
    let registries = Registries::new(config).expect("a good configuration");
    registries.session(&reference.parse().expect("a reference"), credentials).await.expect("a session")
}

fn password() -> Option<Credentials> {
    Some(Credentials::Password { username: "me".to_owned(), password: "secret".to_owned() })
}

async fn read(session: &Session) -> Result<Vec<u8>, RegistryError> {
    let wanted = descriptor(CONTENT);
    session.document_blob(&wanted).await
}

#[tokio::test]
async fn a_challenge_is_answered_with_a_token_drawn_once() {
    let server = Server::start(|asked| match (asked.path.as_str(), asked.authorization.as_str()) {
        ("/token?service=here&scope=repository%3Aapp%3Apull&account=me", "Basic bWU6c2VjcmV0") => Reply::of(200, r#"{"token":"t0ken"}"#),
        _ => Reply::of(401, "{}"),
    })
    .await;
    let host = server.host();
    let registry = Server::start(move |asked| {
        if asked.authorization == "Bearer t0ken" {
            return Reply::of(200, if asked.path.contains("/manifests/") { MANIFEST.as_bytes() } else { CONTENT });
        }
        Reply::refusal(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="here",scope="repository:app:pull""#))
    })
    .await;
    let reference = format!("{}/app", registry.host());
    let session_with = session(&reference, password()).await;
    session_with.manifest().await.expect("a manifest");
    assert_eq!(read(&session_with).await.expect("the blob"), CONTENT);
    assert_eq!(server.asked().len(), 1);
    let refused = session(&reference, None).await.manifest().await.expect_err("refused");
    assert!(matches!(refused, RegistryError::Answer { .. }), "{refused}");
}

#[tokio::test]
async fn basic_credentials_are_sent_only_when_asked_for() {
    let server = Server::start(|asked| {
        if asked.authorization == "Basic bWU6c2VjcmV0" {
            return Reply::of(200, MANIFEST);
        }
        Reply::refusal(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", r#"Basic realm="x""#)
    })
    .await;
    let reference = format!("{}/app:1", server.host());
    session(&reference, password()).await.manifest().await.expect("a manifest");
    assert_eq!(server.asked()[0].authorization, "");
    let refused = session(&reference, None).await.manifest().await.expect_err("refused");
    let expected = format!(
        "pull access denied for {}/app, repository does not exist or may require 'docker login': unauthorized: authentication required",
        server.host()
    );
    assert_eq!((refused.to_string(), refused.kind()), (expected, FailureKind::NotFound));
    let wrong = Some(Credentials::Password { username: "me".to_owned(), password: "wrong".to_owned() });
    let refused = session(&reference, wrong).await.manifest().await.expect_err("refused");
    assert_eq!(refused.kind(), FailureKind::Denied);
}

#[tokio::test]
async fn a_redirect_to_another_host_carries_no_secrets() {
    let storage = Server::start(|_| Reply::of(200, CONTENT)).await;
    let place = format!("http://localhost:{}/blob?signature=1", storage.address.port());
    let registry = Server::start(move |asked| match asked.authorization.as_str() {
        "" => Reply::of(401, "").with("www-authenticate", "Basic realm=x"),
        _ => Reply::of(307, "").with("location", place.clone()),
    })
    .await;
    let session = session(&format!("{}/app", registry.host()), password()).await;
    assert_eq!(read(&session).await.expect("the blob"), CONTENT);
    let asked = storage.asked();
    assert_eq!((asked.len(), asked[0].path.as_str(), asked[0].authorization.as_str()), (1, "/blob?signature=1", ""));
}

#[tokio::test]
async fn what_breaks_off_is_taken_up_where_it_ended() {
    for knows_ranges in [true, false] {
        let server = Server::start(move |asked: &Asked| match asked.range.as_str() {
            "" => Reply { breaks_after: Some(4), ..Reply::of(200, CONTENT) },
            "bytes=4-" if knows_ranges => {
                let reply = Reply::of(206, &CONTENT[4..]).with("content-range", "bytes 4-9/10");
                Reply { breaks_after: Some(2), ..reply }
            }
            "bytes=6-" if knows_ranges => Reply::of(206, &CONTENT[6..]).with("content-range", "bytes 6-9/10"),
            _ => Reply::of(200, CONTENT),
        })
        .await;
        let session = session(&format!("{}/app", server.host()), None).await;
        assert_eq!(read(&session).await.expect("the blob"), CONTENT);
        let ranges: Vec<String> = server.asked().into_iter().map(|asked| asked.range).collect();
        let expected: &[&str] = if knows_ranges { &["", "bytes=4-", "bytes=6-"] } else { &["", "bytes=4-"] };
        assert_eq!(ranges, expected);
    }
}

#[tokio::test]
async fn a_registry_that_only_breaks_is_given_up() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = Server::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Reply { breaks_after: Some(0), ..Reply::of(200, CONTENT) }
    })
    .await;
    let error = read(&session(&format!("{}/app", server.host()), None).await).await.expect_err("given up");
    assert!(
        error.to_string().starts_with(&format!("the connection to the registry {} broke off while blob sha256:", server.host())),
        "{error}"
    );
    assert_eq!(count.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn other_bytes_than_were_asked_for_are_refused() {
    let server =
        Server::start(|asked| Reply::of(200, if asked.path.contains("/manifests/") { MANIFEST.as_bytes() } else { b"9876543210" })).await;
    let session = session(&format!("{}/app", server.host()), None).await;
    let (wanted, found) = (descriptor(b"x").digest, descriptor(MANIFEST.as_bytes()).digest);
    let error = session.manifest_of(&wanted).await.expect_err("refused").to_string();
    assert!(error.contains(&wanted.to_string()) && error.contains(&found.to_string()), "{error}");
    let (wanted, found) = (descriptor(CONTENT).digest, descriptor(b"9876543210").digest);
    let error = read(&session).await.expect_err("refused").to_string();
    assert!(error.contains(&wanted.to_string()) && error.contains(&found.to_string()), "{error}");
}

#[tokio::test]
async fn refusals_are_told_in_dockers_words() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/v2/app/manifests/1" => Reply::refusal(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        "/v2/app/manifests/2" => Reply::refusal(403, "DENIED", "requested access to the resource is denied"),
        "/v2/app/manifests/3" => Reply::refusal(429, "TOOMANYREQUESTS", "slow down"),
        _ => Reply::refusal(404, "NAME_UNKNOWN", "repository name not known to registry"),
    })
    .await;
    let host = server.host();
    let check = async |name: &str, expect: String| {
        let error = session(&format!("{host}/{name}"), None).await.manifest().await.expect_err(name);
        assert_eq!(error.to_string(), expect);
    };
    check("app:1", format!("manifest for {host}/app:1 not found: manifest unknown: manifest unknown")).await;
    let denied = "repository does not exist or may require 'docker login': denied: requested access to the resource is denied";
    check("app:2", format!("pull access denied for {host}/app, {denied}")).await;
    check("app:3", format!("the registry {host} takes no more requests for now: toomanyrequests: slow down")).await;
    check("no:1", format!("repository {host}/no not found: name unknown: repository name not known to registry")).await;
}

#[tokio::test]
async fn mirrors_come_first_and_get_no_credentials() {
    let dead = Server::start(|_| Reply::of(500, "")).await;
    let live = Server::start(|_| Reply::of(200, MANIFEST)).await;
    let mirrors = vec![format!("http://{}", dead.host()), format!("http://{}/hub/", live.host())];
    let config = RegistryConfig { mirrors, ..RegistryConfig::default() };
    let session = session_of(config, "redis:7", password()).await;
    session.manifest().await.expect("a manifest");
    assert_eq!(dead.asked()[0].path, "/v2/library/redis/manifests/7");
    assert_eq!(live.asked()[0].path, "/hub/v2/library/redis/manifests/7");
    assert_eq!(live.asked()[0].authorization, "");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let gone = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.local_addr().expect("an address").to_string()
    };
    let error = session(&format!("{gone}/app"), None).await.manifest().await.expect_err("nobody there");
    assert_eq!(error.kind(), FailureKind::Unavailable);
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot reach the registry {gone}: ")) && text.contains("nothing listens there"), "{text}");
}

#[tokio::test]
async fn a_proxy_leads_to_hosts_that_are_elsewhere() {
    let proxy = Server::start(|asked| {
        if asked.path == "http://r.example:5000/v2/app/manifests/latest" { Reply::of(200, MANIFEST) } else { Reply::of(502, "") }
    })
    .await;
    let config = RegistryConfig {
        insecure: vec!["r.example:5000".to_owned()],
        http_proxy: Some(format!("http://{}", proxy.host())),
        https_proxy: Some(format!("http://{}", proxy.host())),
        ..RegistryConfig::default()
    };
    session_of(config, "r.example:5000/app", None).await.manifest().await.expect("a manifest");
}

/// The certificate and key of `registry.localhost`, by an authority that only these tests know.
const CERTIFICATE: &[u8] = include_bytes!("test_certificates/server.pem");
const KEY: &[u8] = include_bytes!("test_certificates/server.key");
const AUTHORITY: &[u8] = include_bytes!("test_certificates/ca.pem");

/// A registry that speaks TLS, on a thread of its own: it answers everything with the manifest. Returns its port.
fn secure_server() -> u16 {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .expect("a good certificate");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = rustls::Stream::new(&mut session, &mut stream);
            // A client that trusts nobody leaves here.
            if read_head(&mut stream).is_ok() {
                let length = MANIFEST.len();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{MANIFEST}");
            }
        }
    });
    port
}

fn read_head(stream: &mut impl Read) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let registry = format!("registry.localhost:{}", secure_server());
    let reference = format!("{registry}/app");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).expect("a file");
    let own = folder.path().join("certs.d").join(&registry);
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::write(own.join("ca.crt"), AUTHORITY).expect("a file");
    let none = RegistryConfig { certificates: Some(authority.clone()), ..RegistryConfig::default() };
    session_of(none, &reference, None).await.manifest().await.expect("a manifest");
    let folders = RegistryConfig { certificate_folders: vec![folder.path().join("certs.d")], ..RegistryConfig::default() };
    session_of(folders, &reference, None).await.manifest().await.expect("a manifest");
    let insecure = RegistryConfig { insecure: vec![registry.clone()], ..RegistryConfig::default() };
    session_of(insecure, &reference, None).await.manifest().await.expect("a manifest");
    let error = session(&reference, None).await.manifest().await.expect_err("a stranger").to_string();
    assert!(error.contains("is not to be trusted") && error.contains(&format!("certs.d/{registry}/ca.crt")), "{error}");
}

#[tokio::test]
async fn a_login_asks_the_registry_in_its_own_way() {
    let registries = Registries::new(RegistryConfig::default()).expect("a good configuration");
    let credentials = password().expect("credentials");
    let basic = Server::start(|asked| match (asked.path.as_str(), asked.authorization.as_str()) {
        ("/v2/", "Basic bWU6c2VjcmV0") => Reply::of(200, "{}"),
        _ => Reply::refusal(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", r#"Basic realm="x""#.to_owned()),
    })
    .await;
    registries.login(&basic.host(), &credentials).await.expect("let in");
    let wrong = Credentials::Password { username: "me".to_owned(), password: "other".to_owned() };
    let refused = registries.login(&basic.host(), &wrong).await.expect_err("not let in");
    assert!(matches!(refused, RegistryError::Unauthorized { .. }), "{refused}");
    let tokens = Server::start(|asked| match (asked.path.as_str(), asked.authorization.as_str()) {
        ("/token?service=here&account=me", "Basic bWU6c2VjcmV0") => Reply::of(200, r#"{"token":"t0ken"}"#),
        _ => Reply::of(401, "{}"),
    })
    .await;
    let host = tokens.host();
    let bearer = Server::start(move |asked| match asked.authorization.as_str() {
        "Bearer t0ken" => Reply::of(200, "{}"),
        _ => Reply::of(401, "{}").with("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="here""#)),
    })
    .await;
    registries.login(&bearer.host(), &credentials).await.expect("let in");
    assert!(registries.login(&bearer.host(), &wrong).await.is_err());
    let nobody = Server::start(|_| Reply::of(404, "no such page")).await;
    assert!(registries.login(&nobody.host(), &credentials).await.is_err());
}
