//! `docker pull`: what an image is comes first, then its layers, several at once; each is downloaded, verified, inflated and unpacked as it
//! comes. Nothing has a name before all of it is there.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::image::config::{self, Understood, check_platform};
use crate::engine::image::error::ImageError;
use crate::engine::image::fetch::{Fetch, Teller};
use crate::engine::image::handle::{Shared, now};
use crate::registry::error::RegistryError;
use crate::registry::manifest::{self, Descriptor, Manifest, ManifestError};
use crate::registry::session::Session;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::{Credentials, ImageProgress, ImageReference, Platform};

/// So many layers of one image come at once at least (Docker's `max-concurrent-downloads`); with more processors, more.
const AT_ONCE: usize = 3;

/// Who is told.
pub(super) type Progress = Arc<dyn Fn(ImageProgress) + Send + Sync>;

/// An image as a registry has it.
struct Found {
    /// The digest of the manifest that was asked for: of the index, if it was one.
    digest: Digest,
    config: Descriptor,
    document: Vec<u8>,
    understood: Understood,
    layers: Vec<Descriptor>,
}

impl Shared {
    /// Brings in an image, and gives it the name it was asked for by.
    pub(super) async fn pull(
        self: &Arc<Self>,
        reference: &ImageReference,
        platform: Option<&Platform>,
        credentials: Option<Credentials>,
        progress: Progress,
    ) -> Result<ImageId, ImageError> {
        let session = Arc::new(self.registries.session(reference, credentials).await?);
        let (id, is_news) = self.as_work(self.pull_tag(&session, reference, platform, &progress)).await?;
        say_status(&progress, is_news, &reference.familiar());
        Ok(id)
    }

    /// Brings in every tag of a repository.
    pub(super) async fn pull_all(
        self: &Arc<Self>,
        reference: &ImageReference,
        platform: Option<&Platform>,
        credentials: Option<Credentials>,
        progress: Progress,
    ) -> Result<(), ImageError> {
        let session = Arc::new(self.registries.session(reference, credentials).await?);
        let mut any = false;
        for tag in session.tags().await? {
            let reference: ImageReference = format!("{}:{tag}", reference.familiar_name()).parse()?;
            let (_, is_news) = self.as_work(self.pull_tag(&session, &reference, platform, &progress)).await?;
            any |= is_news;
        }
        say_status(&progress, any, &reference.familiar_name());
        Ok(())
    }

    /// Brings in one image; says whether it is another one than before.
    async fn pull_tag(
        self: &Arc<Self>,
        session: &Arc<Session>,
        reference: &ImageReference,
        platform: Option<&Platform>,
        progress: &Progress,
    ) -> Result<(ImageId, bool), ImageError> {
        let found = self.find_out(session, reference, platform).await?;
        // As in Docker nothing is told before it is known that there is such an image.
        let asked = reference.digest().map_or_else(|| reference.tag().unwrap_or_default().to_owned(), |_| reference.to_string());
        Teller::new(&asked, progress).say(format!("Pulling from {}", reference.repository()));
        let id = found.config.digest;
        let before = self.lock().index.find(&reference.familiar()).ok().map(|(id, _)| id);
        self.fetch_layers(session, &found, progress).await?;
        self.register_pulled(&found, reference)?;
        Teller::new("", progress).say(format!("Digest: {}", found.digest));
        Ok((id, before != Some(id)))
    }

    /// Reads the manifest, the one for the platform, and the configuration; all of them verified and consistent.
    async fn find_out(&self, session: &Session, reference: &ImageReference, platform: Option<&Platform>) -> Result<Found, ImageError> {
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let unusable = |reason| RegistryError::Manifest { reference: reference.familiar(), reason };
        let top = session.manifest_at(reference).await?;
        let digest = top.digest;
        let (config, layers) = match top.manifest {
            Manifest::Image { config, layers } => (config, layers),
            Manifest::Index(entries) => {
                let chosen = manifest::choose(&entries, &wanted).map_err(ImageError::Platform)?;
                match session.manifest_of(&chosen.manifest.digest).await?.manifest {
                    Manifest::Image { config, layers } => (config, layers),
                    Manifest::Index(_) => {
                        return Err(unusable(ManifestError::Malformed("an index lies within an index".to_owned())).into());
                    }
                }
            }
        };
        let document =
            if self.content.has(&config.digest) { self.content.document(&config.digest)? } else { session.document_blob(&config).await? };
        let understood = config::parse(&document, &reference.familiar())?;
        if understood.layers.len() != layers.len() {
            let reason = format!("it names {} layers, and the manifest {}", understood.layers.len(), layers.len());
            return Err(ImageError::Config { image: reference.familiar(), reason });
        }
        refuse_other_platform(&understood.platform, platform, reference)?;
        Ok(Found { digest, config, document, understood, layers })
    }

    /// Brings in what is missing of the layers. Whatever fails first stops all others.
    async fn fetch_layers(self: &Arc<Self>, session: &Arc<Session>, found: &Found, progress: &Progress) -> Result<(), ImageError> {
        let pairs = || found.understood.layers.iter().copied().zip(found.layers.iter().cloned());
        // An image that is here already is told of in two lines, as Docker does.
        let is_here = self.lock().index.image(&found.config.digest).is_some();
        if is_here && pairs().all(|(diff, _)| self.layers.unpacked(&diff).is_some()) {
            return Ok(());
        }
        let mut waiting = Vec::new();
        for (diff, blob) in pairs() {
            let teller = Teller::new(&blob.digest.short(), progress);
            if self.layers.unpacked(&diff).is_some() {
                teller.say("Already exists");
            } else {
                teller.say("Pulling fs layer");
                waiting.push(Fetch { diff, blob, session: Arc::clone(session), teller });
            }
        }
        let limit = std::thread::available_parallelism().map_or(AT_ONCE, |count| count.get().max(AT_ONCE));
        let (stop, stopped) = watch::channel(false);
        let mut waiting = waiting.into_iter();
        let mut running = JoinSet::new();
        let mut failed = None;
        loop {
            while failed.is_none()
                && running.len() < limit
                && let Some(fetch) = waiting.next()
            {
                running.spawn(fetch.run(self.work(), stopped.clone()));
            }
            let outcome = match running.join_next().await {
                None => return failed.map_or(Ok(()), Err),
                Some(Ok(outcome)) => outcome,
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Err(ImageError::GivenUp(found.config.digest.short())),
                },
            };
            if let Err(error) = outcome {
                // The others clean up after themselves before the failure is told.
                stop.send_replace(true);
                failed.get_or_insert(error);
            }
        }
    }

    /// Makes an image known whose layers are all there, with its name and the digest it was pulled by.
    fn register_pulled(&self, found: &Found, reference: &ImageReference) -> Result<(), ImageError> {
        let id = self.content.put(&found.document)?;
        let mut state = self.lock();
        state.index.add(id, found.understood.clone());
        // A digest counts alone, whatever tag stands before it.
        if reference.digest().is_none() {
            state.index.tag(reference, id, now());
        }
        state.index.pulled_by(reference, &found.digest, id);
        self.save(&mut state)
    }
}

fn say_status(progress: &Progress, is_news: bool, name: &str) {
    let news = if is_news { "Downloaded newer image" } else { "Image is up to date" };
    Teller::new("", progress).say(format!("Status: {news} for {name}"));
}

/// Refuses what was not asked for, and what cannot run on any machine of ours.
fn refuse_other_platform(found: &Platform, asked: Option<&Platform>, reference: &ImageReference) -> Result<(), ImageError> {
    match asked {
        Some(asked) => check_platform(found, asked, &reference.familiar()),
        None if found.os != "linux" => {
            Err(ImageError::Platform(format!("image operating system \"{}\" cannot be used on this platform", found.os)))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Mutex;

    use super::*;
    use crate::engine::image::content::digest_of;
    use crate::engine::image::handle::Images;
    use crate::engine::image::mount_point::MountPoints;
    use crate::engine::root::Root;
    use crate::registry::config::RegistryConfig;
    use crate::registry::test_server::{Asked, Reply, Server, descriptor};

    fn tar(name: &str, content: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).expect("an entry");
        builder.into_inner().expect("an archive")
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("a write");
        encoder.finish().expect("the end")
    }

    fn written(content: &[u8]) -> String {
        let it = descriptor(content);
        format!(r#"{{"mediaType":"x/y","digest":"{}","size":{}}}"#, it.digest, it.size)
    }

    /// An image of two layers, one of them there twice, in an index beside one for another machine; `spoil` changes what a blob's bytes are.
    async fn registry(spoil: impl Fn(usize, &mut Vec<u8>)) -> Server {
        let tars = [tar("a", "one"), tar("b", "two")];
        let layers = [gzip(&tars[0]), zstd::encode_all(&*tars[1], 1).expect("an encoder")];
        let diffs = [0, 1, 0].map(|index: usize| format!("\"{}\"", digest_of(&tars[index]))).join(",");
        let config = format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diffs}]}}}}"#);
        let list = [0, 1, 0].map(|index: usize| written(&layers[index])).join(",");
        let image = format!(r#"{{"schemaVersion":2,"config":{},"layers":[{list}]}}"#, written(config.as_bytes()));
        let entry = |content: &str, architecture: &str| {
            let head = written(content.as_bytes());
            format!(r#"{},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#, head.trim_end_matches('}'))
        };
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#, entry("{}", "s390x"), entry(&image, "amd64"));
        let documents = [config.into_bytes(), layers[0].clone(), layers[1].clone()];
        let blobs = documents.into_iter().enumerate().map(|(at, bytes)| {
            let name = format!("/v2/app/blobs/{}", digest_of(&bytes));
            let mut bytes = bytes;
            spoil(at, &mut bytes);
            (name, bytes)
        });
        let mut known: Vec<(String, Vec<u8>)> = blobs.collect();
        known.push((format!("/v2/app/manifests/{}", digest_of(image.as_bytes())), image.into_bytes()));
        known.push((format!("/v2/app/manifests/{}", digest_of(index.as_bytes())), index.clone().into_bytes()));
        known.push(("/v2/app/manifests/1".to_owned(), index.into_bytes()));
        Server::start(move |asked: &Asked| match known.iter().find(|(path, _)| *path == asked.path) {
            Some((_, bytes)) => Reply::of(200, bytes.clone()),
            None => Reply::of(404, ""),
        })
        .await
    }

    struct Bench {
        folder: tempfile::TempDir,
        images: Images,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let images = Images::open(&Root::new(Some(folder.path())), RegistryConfig::default()).expect("a store");
            Self { folder, images, told: Arc::default() }
        }

        async fn pull(&self, reference: &str, platform: &str) -> Result<ImageId, ImageError> {
            let told = Arc::clone(&self.told);
            self.told.lock().expect("no panic").clear();
            let note = move |event: ImageProgress| {
                if event.current.is_none() {
                    told.lock().expect("no panic").push(format!("{} {}", event.id, event.status));
                }
            };
            let platform: Platform = platform.parse().expect("a platform");
            self.images.pull(&reference.parse().expect("a reference"), Some(&platform), None, note).await
        }

        fn left(&self) -> usize {
            let data = self.folder.path().join("data");
            // Good layers of a bad image are emptied in the background, under names that say so; the folder of mount points is always there.
            let counts = |name: &str| !name.starts_with("partial-") && !MountPoints::is_folder(name);
            let names = |folder: &str| std::fs::read_dir(data.join(folder)).expect("a folder").map(|it| it.expect("an entry").file_name());
            let all = ["content/sha256", "content/partial", "layers"].into_iter().flat_map(names);
            all.filter(|name| name.to_str().is_some_and(counts)).count()
        }
    }

    #[tokio::test]
    async fn an_image_comes_in_once() {
        let server = registry(|_, _| {}).await;
        let bench = Bench::new();
        let name = format!("{}/app:1", server.host());
        let id = bench.pull(&name, "linux/amd64").await.expect("an image");
        let root = bench.images.rootfs(&id).await.expect("a root");
        assert_eq!(std::fs::read(root.dirs[0].join("a")).expect("a file"), b"one");
        assert_eq!(std::fs::read(root.dirs[1].join("b")).expect("a file"), b"two");
        let info = bench.images.get(&name).expect("the image");
        assert_eq!((info.id, info.tags.len(), info.repo_digests.len()), (id, 1, 1));
        let blobs = |server: &Server| server.asked().iter().filter(|asked| asked.path.contains("/blobs/")).count();
        // The configuration and two layers; the third is the first.
        assert_eq!(blobs(&server), 3);
        let told = bench.told.lock().expect("no panic").clone();
        assert_eq!(told[0], "1 Pulling from app");
        assert_eq!(told.iter().filter(|line| line.ends_with("Pull complete")).count(), 2);
        assert_eq!(told.last().map(String::as_str), Some(format!(" Status: Downloaded newer image for {name}").as_str()));
        assert_eq!(bench.pull(&name, "linux/amd64").await.expect("an image"), id);
        assert_eq!(blobs(&server), 3);
        let told = bench.told.lock().expect("no panic").clone();
        assert_eq!((told.len(), told[2].as_str()), (3, format!(" Status: Image is up to date for {name}").as_str()));
        let by_digest = info.repo_digests[0].clone();
        assert_eq!(bench.pull(&by_digest, "linux/amd64").await.expect("an image"), id);
        assert_eq!(bench.images.get(&by_digest).expect("the image").id, id);
    }

    #[tokio::test]
    async fn every_tag_comes_in_by_one_admission() {
        let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let image = format!(r#"{{"schemaVersion":2,"config":{},"layers":[]}}"#, written(config));
        let blob = format!("/v2/app/blobs/{}", digest_of(config));
        let door = Server::start(|_| Reply::of(200, r#"{"token":"good"}"#)).await;
        let challenge = format!(r#"Bearer realm="http://{}/token",service="tests""#, door.host());
        let server = Server::start(move |asked: &Asked| match asked.path.as_str() {
            _ if asked.authorization != "Bearer good" => Reply::of(401, "").with("www-authenticate", challenge.clone()),
            path if path.starts_with("/v2/app/tags/list") => Reply::of(200, r#"{"tags":["1","2","3"]}"#),
            path if path.starts_with("/v2/app/manifests/") => Reply::of(200, image.clone()),
            path if path == blob => Reply::of(200, config.to_vec()),
            _ => Reply::of(404, ""),
        })
        .await;
        let bench = Bench::new();
        let name = format!("{}/app", server.host());
        bench.images.pull_all(&name.parse().expect("a reference"), None, None, |_| ()).await.expect("three tags");
        assert_eq!(bench.images.list()[0].tags, ["1", "2", "3"].map(|tag| format!("{name}:{tag}")));
        assert_eq!(door.asked().len(), 1);
    }

    #[tokio::test]
    async fn two_pulls_at_once_share_the_work() {
        let server = registry(|_, _| {}).await;
        let bench = Bench::new();
        let name = format!("{}/app:1", server.host());
        let (one, other) = tokio::join!(bench.pull(&name, "linux/amd64"), bench.pull(&name, "linux/amd64"));
        assert_eq!(one.expect("an image"), other.expect("an image"));
        let layer = |asked: &&Asked| asked.path.ends_with(&digest_of(&gzip(&tar("a", "one"))).to_string());
        assert_eq!(server.asked().iter().filter(layer).count(), 1);
    }

    #[tokio::test]
    async fn wrong_bytes_leave_nothing() {
        for spoiled in [1, 2] {
            let server = registry(move |at, bytes| {
                if at == spoiled {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 0xff;
                }
            })
            .await;
            let bench = Bench::new();
            let error = bench.pull(&format!("{}/app:1", server.host()), "linux/amd64").await.expect_err("refused");
            let ImageError::WrongDigest { expected, found, .. } = &error else { panic!("{error}") };
            assert!(expected != found && error.to_string().contains(&server.host()), "{error}");
            assert_eq!((bench.images.list().len(), bench.left()), (0, 0));
        }
        let server = registry(|at, bytes| bytes[at] = b' ').await;
        let bench = Bench::new();
        assert!(bench.pull(&format!("{}/app:1", server.host()), "linux/amd64").await.is_err());
        assert_eq!(bench.left(), 0);
    }

    #[tokio::test]
    async fn the_platform_decides() {
        let server = registry(|_, _| {}).await;
        let bench = Bench::new();
        let error = bench.pull(&format!("{}/app:1", server.host()), "linux/arm64").await.expect_err("none such");
        assert_eq!(
            error.to_string(),
            "no matching manifest for linux/arm64 in the manifest list entries; there are: linux/s390x, linux/amd64"
        );
        assert_eq!(bench.left(), 0);
    }
}
