//! `docker push`: the layers that the registry does not have, several at once, then the configuration, then the manifest with the tag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::engine::image::content::digest_of;
use crate::engine::image::error::ImageError;
use crate::engine::image::fetch::{PACE, Teller};
use crate::engine::image::handle::{Shared, blocking};
use crate::engine::image::index::Name;
use crate::engine::image::pull::Progress;
use crate::engine::image::work::Work;
use crate::registry::manifest::Descriptor;
use crate::registry::manifest_text::{ManifestText, PackedLayer};
use crate::registry::session::Session;
use crate::registry::upload::{Arrival, OTHERS, Sending};
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::{Credentials, ImageReference};
use crate::resource::push::{PushNews, PushTarget, PushedTag};

/// So many layers go out at once (Docker's `max-concurrent-uploads`).
const AT_ONCE: usize = 5;

/// Who is told.
pub(super) type News = Arc<dyn Fn(PushNews) + Send + Sync>;

/// A tag on its way.
struct Leaving {
    reference: ImageReference,
    tag: String,
    id: ImageId,
    layers: Vec<Digest>,
}

impl Shared {
    /// Brings tags of a repository to its registry.
    pub(super) async fn push(
        self: &Arc<Self>,
        target: &PushTarget,
        credentials: Option<Credentials>,
        news: News,
    ) -> Result<(), ImageError> {
        let reference = &target.reference;
        let progress: Progress = {
            let news = Arc::clone(&news);
            Arc::new(move |step| news(PushNews::Step(step)))
        };
        Teller::new("", &progress).say(format!("The push refers to repository [{}/{}]", reference.registry(), reference.repository()));
        self.as_work(self.push_tags(target, credentials, &news, &progress)).await
    }

    async fn push_tags(
        self: &Arc<Self>,
        target: &PushTarget,
        credentials: Option<Credentials>,
        news: &News,
        progress: &Progress,
    ) -> Result<(), ImageError> {
        let leaving = self.tags_to_push(target)?;
        let others = self.others_with(&leaving);
        let all: BTreeSet<String> = others.values().flatten().cloned().collect();
        let all: Vec<String> = all.into_iter().collect();
        let session = Arc::new(self.registries.push_session(&target.reference, credentials, &all).await?);
        for image in leaving {
            let pushed = self.push_image(&session, &image, &others, progress).await?;
            Teller::new("", progress).say(format!("{}: digest: {} size: {}", pushed.tag, pushed.digest, pushed.size));
            let mut state = self.lock();
            state.index.pulled_by(&image.reference, &pushed.digest, image.id);
            self.save(&mut state)?;
            drop(state);
            news(PushNews::Pushed(pushed));
        }
        Ok(())
    }

    fn tags_to_push(&self, target: &PushTarget) -> Result<Vec<Leaving>, ImageError> {
        let reference = &target.reference;
        let state = self.lock();
        let names = state.index.names_in(reference);
        let nothing = |text: String| Err(ImageError::NothingToPush(text));
        if names.is_empty() {
            return nothing(format!("An image does not exist locally with the tag: {}", reference.familiar_name()));
        }
        if reference.digest().is_some() {
            return nothing("cannot push a digest reference".to_owned());
        }
        let mut leaving = Vec::new();
        for (name, id) in names {
            let Name::Tag(key) = name else { continue };
            let named: ImageReference = key.parse()?;
            let image = state.index.image(&id).ok_or_else(|| ImageError::NotFound(key.clone()))?;
            if target.all || named.tag() == reference.tag() {
                let tag = named.tag().unwrap_or_default().to_owned();
                leaving.push(Leaving { reference: named, tag, id, layers: image.understood.layers.clone() });
            }
        }
        match (leaving.is_empty(), target.all) {
            (false, _) => Ok(leaving),
            (true, true) => nothing(format!("no tags to push for {}", reference.familiar_name())),
            (true, false) => nothing(format!("tag does not exist: {}", reference.familiar())),
        }
    }

    /// By layer, the repositories that the registry may take it from, the likeliest first.
    fn others_with(&self, leaving: &[Leaving]) -> BTreeMap<Digest, Vec<String>> {
        let state = self.lock();
        let mut others = BTreeMap::new();
        for image in leaving {
            let likeness = |other: &String| {
                let (own, other) = (image.reference.repository().split('/'), other.split('/'));
                std::cmp::Reverse(own.zip(other).take_while(|(one, another)| one == another).count())
            };
            for layer in &image.layers {
                let mut found: Vec<String> = state.index.others_with(&image.reference, layer).into_iter().collect();
                found.sort_by_key(likeness);
                found.truncate(OTHERS);
                others.insert(*layer, found);
            }
        }
        others
    }

    async fn push_image(
        self: &Arc<Self>,
        session: &Arc<Session>,
        image: &Leaving,
        others: &BTreeMap<Digest, Vec<String>>,
        progress: &Progress,
    ) -> Result<PushedTag, ImageError> {
        let mut seen = BTreeSet::new();
        // Docker begins with the topmost.
        let layers: Vec<Digest> = image.layers.iter().rev().copied().filter(|diff| seen.insert(*diff)).collect();
        layers.iter().for_each(|diff| Teller::new(&diff.short(), progress).say("Preparing"));
        let places = Arc::new(Semaphore::new(AT_ONCE));
        // A set ends its tasks when it is dropped.
        let mut tasks = JoinSet::new();
        for (at, diff) in layers.into_iter().enumerate() {
            let teller = Arc::new(Teller::new(&diff.short(), progress));
            if at >= AT_ONCE {
                teller.say("Waiting");
            }
            let (session, places, work) = (Arc::clone(session), Arc::clone(&places), self.work());
            let others = others.get(&diff).cloned().unwrap_or_default();
            tasks.spawn(async move {
                let _place = places.acquire().await.map_err(|_| ImageError::GivenUp(diff.short()))?;
                Ok::<_, ImageError>((diff, push_layer(&work, &session, diff, &others, &teller).await?))
            });
        }
        let mut packed: BTreeMap<Digest, PackedLayer> = BTreeMap::new();
        while let Some(ended) = tasks.join_next().await {
            let (diff, layer) = match ended {
                Ok(outcome) => outcome?,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return Err(ImageError::GivenUp(image.id.short())),
                },
            };
            packed.insert(diff, layer);
        }
        let layers = image.layers.iter().filter_map(|diff| packed.get(diff).copied()).collect::<Vec<_>>();
        let config = self.content.document(&image.id)?;
        let config = Descriptor { digest: image.id, size: config.len() as u64, media_type: String::new(), urls: Vec::new() };
        session.upload(&config, &self.content.path(&image.id), &[], Arc::new(|_| {})).await?;
        let manifest = ManifestText::new(&config, &layers);
        session.put_manifest(&image.tag, &manifest).await?;
        Ok(PushedTag { tag: image.tag.clone(), digest: digest_of(&manifest.bytes), size: manifest.bytes.len() as u64 })
    }
}

async fn push_layer(
    work: &Work,
    session: &Session,
    diff: Digest,
    others: &[String],
    teller: &Arc<Teller>,
) -> Result<PackedLayer, ImageError> {
    let shared = Arc::clone(work.shared());
    let packed = blocking(&diff.short(), move || shared.packed(&diff)).await?;
    let blob = Descriptor { digest: packed.digest, size: packed.size, media_type: String::new(), urls: Vec::new() };
    let arrival = session.upload(&blob, &work.shared().content.path(&packed.digest), others, sending(teller, packed.size)).await?;
    match arrival {
        Arrival::Known => teller.say("Layer already exists"),
        Arrival::Mounted(other) => teller.say(format!("Mounted from {other}")),
        Arrival::Sent => teller.say("Pushed"),
    }
    Ok(packed)
}

/// Tells of bytes that go out, now and then.
fn sending(teller: &Arc<Teller>, total: u64) -> Sending {
    let (teller, told) = (Arc::clone(teller), Mutex::new(None::<Instant>));
    Arc::new(move |sent| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if sent == total || told.is_none_or(|at| at.elapsed() >= PACE) {
            teller.bytes("Pushing", sent, total);
            *told = Some(Instant::now());
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::engine::image::handle::Images;
    use crate::engine::root::Root;
    use crate::registry::config::RegistryConfig;
    use crate::registry::test_server::{Reply, Server};
    use crate::resource::image::{ImportOptions, Platform};

    type Kept = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

    /// A registry whose repositories share their blobs only where one is taken from `app`.
    async fn registry() -> (Server, Kept) {
        let kept: Kept = Arc::default();
        let state = Arc::clone(&kept);
        let server = Server::start(move |asked| {
            let mut kept = state.lock().expect("no panic");
            let path = asked.path.strip_prefix("/v2/").unwrap_or(&asked.path).to_owned();
            match asked.method.as_str() {
                "HEAD" if kept.contains_key(&path) => Reply::of(200, ""),
                "HEAD" => Reply::of(404, ""),
                "POST" if path.contains("&from=app") => Reply::of(201, ""),
                "POST" => Reply::of(202, "").with("location", format!("/v2/{}", path.replace("blobs/uploads/", "blobs/"))),
                _ => {
                    kept.insert(path.replace("?digest=", ""), asked.body.clone());
                    Reply::of(201, "")
                }
            }
        })
        .await;
        (server, kept)
    }

    struct Bench {
        _folder: tempfile::TempDir,
        images: Images,
    }

    impl Bench {
        /// An image of one small file, whose tar came in as it is.
        async fn new(name: &str) -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let images = Images::open(&Root::new(Some(folder.path())), RegistryConfig::default()).expect("a store");
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_mode(0o644);
            builder.append_data(&mut header, "file", &b"one"[..]).expect("an entry");
            let archive = builder.into_inner().expect("an archive");
            let options = ImportOptions { reference: Some(name.parse().expect("a reference")), ..ImportOptions::default() };
            images.import(Cursor::new(archive), options).await.expect("an image");
            Self { _folder: folder, images }
        }

        /// Pushes, and returns what was told of layers and tags.
        async fn push(&self, name: &str, all: bool) -> Result<Vec<String>, ImageError> {
            let told: Arc<Mutex<Vec<String>>> = Arc::default();
            let note = Arc::clone(&told);
            let news = move |news: PushNews| {
                let line = match news {
                    PushNews::Step(step) if step.id.is_empty() => return,
                    PushNews::Step(step) => step.status,
                    PushNews::Pushed(tag) => format!("{} {}", tag.tag, tag.digest),
                };
                note.lock().expect("no panic").push(line);
            };
            let target = PushTarget { reference: name.parse().expect("a reference"), all };
            self.images.push(&target, None, news).await?;
            let told = told.lock().expect("no panic").clone();
            Ok(told)
        }
    }

    #[tokio::test]
    async fn what_is_pushed_is_packed_once_and_taken_from_where_it_is() {
        let (server, kept) = registry().await;
        let name = format!("{}/app:1", server.host());
        let bench = Bench::new(&name).await;
        let first = bench.push(&name, false).await.expect("a push");
        assert_eq!(first[..3], ["Preparing", "Pushing", "Pushed"]);
        let digest = first[3].strip_prefix("1 ").expect("the tag").to_owned();
        let manifest = kept.lock().expect("no panic")["app/manifests/1"].clone();
        assert_eq!(digest_of(&manifest).to_string(), digest);
        assert!(String::from_utf8(manifest).expect("text").contains("diff.tar.gzip"));
        assert_eq!(kept.lock().expect("no panic").len(), 3);
        let info = bench.images.get(&name).expect("the image");
        assert_eq!(info.repo_digests, [format!("{}/app@{digest}", server.host())]);
        assert_eq!(bench.push(&name, false).await.expect("a push"), ["Preparing", "Layer already exists", &format!("1 {digest}")]);
        // Another repository of the registry has it without a byte.
        let other = format!("{}/other", server.host());
        bench.images.tag(&name, &other.parse().expect("a reference")).expect("a tag");
        assert_eq!(bench.push(&other, true).await.expect("a push"), ["Preparing", "Mounted from app", &format!("latest {digest}")]);
        // What was packed is what is saved, and unpacked again.
        let sink: Arc<Mutex<Vec<u8>>> = Arc::default();
        bench.images.save(std::slice::from_ref(&name), Sink(Arc::clone(&sink))).await.expect("an archive");
        assert!(!sink.lock().expect("no panic").is_empty());
        // Elsewhere the same tar makes the same blob.
        let (server, _) = registry().await;
        let name = format!("{}/app:1", server.host());
        let there = Bench::new(&name).await;
        let id = there.images.get(&name).expect("the image").layers[0];
        let packed = async |bench: &Bench| {
            let shared = Arc::clone(&bench.images.shared);
            blocking("packed", move || shared.packed(&id)).await.expect("a blob")
        };
        assert_eq!(packed(&bench).await, packed(&there).await);
    }

    #[derive(Clone)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn nothing_is_not_pushed() {
        let bench = Bench::new("127.0.0.1:1/app:1").await;
        let check = async |name: &str, all: bool, expect: &str| {
            assert_eq!(bench.push(name, all).await.expect_err(name).to_string(), expect);
        };
        check("127.0.0.1:1/no:1", false, "An image does not exist locally with the tag: 127.0.0.1:1/no").await;
        check("127.0.0.1:1/app:2", false, "tag does not exist: 127.0.0.1:1/app:2").await;
        check(&format!("127.0.0.1:1/app@sha256:{}", "0".repeat(64)), false, "cannot push a digest reference").await;
        let wrong = bench.images.check_platform("127.0.0.1:1/app:1", &"linux/arm64".parse::<Platform>().expect("a platform"));
        assert!(wrong.expect_err("another machine's").to_string().contains("does not match the specified platform (linux/arm64)"));
    }
}
