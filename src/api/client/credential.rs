//! The credentials of a registry, as Docker's command line keeps them: in `config.json`, or with the helpers that file names.

use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use crate::api::client::credential_store;
use crate::api::client::docker_configuration::DockerConfiguration;
use crate::resource::failure::Failure;
use crate::resource::image::{Credentials, DOCKER_HUB};

/// Under which name Docker's own registry is kept.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Under which name a registry is kept.
pub(super) fn key_of(registry: &str) -> &str {
    if registry == DOCKER_HUB { HUB_KEY } else { registry }
}

/// Looks up the credentials of a registry in a folder of Docker's configuration; `None` where nobody logged in. May run a helper.
pub(super) fn find(folder: &Path, registry: &str) -> Result<Option<Credentials>, Failure> {
    let path = DockerConfiguration::place(folder);
    let Some(configuration) = DockerConfiguration::read(folder).map_err(|error| Failure::denied(format!("the credentials in {error}")))?
    else {
        return Ok(None);
    };
    match get_credential_from_reader(configuration.text.as_slice(), key_of(registry)) {
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credentials::IdentityToken(token))),
        Ok(DockerCredential::UsernamePassword(username, _)) if username.is_empty() => Ok(None),
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Some(Credentials::Password { username, password })),
        Err(CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound) => Ok(None),
        // The words that Docker's helpers agree on.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => Ok(None),
        Err(CredentialRetrievalError::HelperFailure { helper, stdout, stderr }) => {
            let words = if stdout.trim().is_empty() { stderr } else { stdout };
            Err(Failure::denied(format!("`{helper}` has no credentials for {registry}: {}", words.trim())))
        }
        Err(CredentialRetrievalError::ConfigReadError) => {
            Err(Failure::denied(format!("the credentials in {} cannot be read: it is not as Docker writes it", path.display())))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            let helper = credential_store::helper_of(&configuration.into_fields(), key_of(registry)).unwrap_or_default();
            let way = "install it, or take it out of `credsStore` and `credHelpers` there";
            Err(Failure::denied(format!("`{helper}`, which {} names, {}: {way}", path.display(), credential_store::trouble_with(&helper))))
        }
        Err(error) => {
            let place = path.display();
            Err(Failure::denied(format!("the credentials for {registry} that {place} names cannot be had: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_as_docker_keeps_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let user = |name: &str| Some(Credentials::Password { username: name.to_owned(), password: "secret".to_owned() });
        assert!(find(folder.path(), DOCKER_HUB).expect("no file is no failure").is_none());
        // ann:secret and ben:secret in base64.
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YW5uOnNlY3JldA=="},
            "127.0.0.1:5000": {"auth": "YmVuOnNlY3JldA=="},
            "token.example": {"identitytoken": "t"},
            "empty.example": {}
        }}"#;
        std::fs::write(folder.path().join("config.json"), text).expect("written");
        let check =
            |registry: &str, expect: Option<Credentials>| assert!(find(folder.path(), registry).expect("good") == expect, "{registry}");
        check(DOCKER_HUB, user("ann"));
        check("127.0.0.1:5000", user("ben"));
        check("token.example", Some(Credentials::IdentityToken("t".to_owned())));
        check("empty.example", None);
        check("other.example", None);
        let path = folder.path().join("config.json");
        let told = || find(folder.path(), "other.example").expect_err("it cannot be read").message;
        std::fs::write(&path, "{").expect("written");
        let unread = format!("the credentials in {} cannot be read: ", path.display());
        assert_eq!(told(), format!("{unread}it is no JSON: EOF while parsing an object at line 1 column 1"));
        std::fs::write(&path, r#"{"auths": 5}"#).expect("written");
        assert_eq!(told(), format!("{unread}it is not as Docker writes it"));
        std::fs::write(&path, r#"{"credsStore": "of-nobody"}"#).expect("written");
        let way = "install it, or take it out of `credsStore` and `credHelpers` there";
        let lacks = "is not found in PATH";
        assert_eq!(told(), format!("`docker-credential-of-nobody`, which {} names, {lacks}: {way}", path.display()));
        std::fs::write(&path, "\n").expect("written");
        assert!(find(folder.path(), "other.example").expect("nobody logged in").is_none());
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("a folder");
        assert_eq!(told(), format!("{unread}Is a directory (os error 21)"));
    }
}
