//! The files of containers, as tars.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

use crate::api::server::answer::{self, Body};
use crate::api::server::body::{BodyReader, BodyWriter};
use crate::api::server::call::Call;
use crate::api::server::query::Query;
use crate::api::server::router::panicked;
use crate::api::wire::path;
use crate::resource::failure::Failure;
use crate::resource::path::{PathStat, UnpackOptions};

type Answer = Result<Response<Body>, Failure>;

/// Tells what lies at a path.
pub(super) async fn stat(mut call: Call) -> Answer {
    let path = path_of(&mut call.query)?;
    let (engine, name) = call.only_name()?;
    let stat = engine.path_stat(&name, &path).await?;
    with_stat(answer::empty(StatusCode::OK), &stat)
}

/// Takes what lies at a path out.
pub(super) async fn read(mut call: Call) -> Answer {
    let path = path_of(&mut call.query)?;
    let (engine, name) = call.only_name()?;
    let (writer, pieces) = BodyWriter::new();
    let (stat, packing) = engine.read_archive(&name, &path, writer).await?;
    let ended = async move { packing.await.unwrap_or_else(|error| Err(panicked(Some(&error)))) };
    with_stat(answer::stream("application/x-tar", pieces_then(pieces, ended)), &stat)
}

/// Puts what a tar holds into a folder.
pub(super) async fn write(mut call: Call) -> Answer {
    let path = path_of(&mut call.query)?;
    let options = UnpackOptions { keep_kinds: call.query.flag("noOverwriteDirNonDir"), own: call.query.flag("copyUIDGID") };
    call.query.finish()?;
    call.engine.write_archive(&call.name, &path, BodyReader::new(call.body), options).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// Takes a container's whole root out.
pub(super) async fn export(call: Call) -> Answer {
    let (engine, name) = call.only_name()?;
    let (writer, mut pieces) = BodyWriter::new();
    let exporting = tokio::spawn(async move { engine.export_container(&name, writer).await });
    let ended = async move { exporting.await.unwrap_or_else(|error| Err(panicked(Some(&error)))) };
    // What fails before the first byte has a status of its own.
    let Some(first) = pieces.recv().await else { return ended.await.map(|()| answer::bytes(StatusCode::OK, OCTETS, Bytes::new())) };
    Ok(answer::stream(OCTETS, stream::iter([Ok(first)]).chain(pieces_then(pieces, ended))))
}

const OCTETS: &str = "application/octet-stream";

fn path_of(query: &mut Query) -> Result<String, Failure> {
    query.text("path").ok_or_else(|| Failure::invalid("bad parameter: path cannot be empty"))
}

fn with_stat(mut response: Response<Body>, stat: &PathStat) -> Answer {
    let value = HeaderValue::from_str(&path::to_header(stat)).map_err(|error| Failure::internal(error.to_string()))?;
    response.headers_mut().insert(HeaderName::from_static(path::HEADER), value);
    Ok(response)
}

/// Pieces as they come; the connection breaks off where they end because something failed.
fn pieces_then(
    pieces: mpsc::Receiver<Bytes>,
    ended: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold((pieces, Some(Box::pin(ended))), |(mut pieces, ended)| async move {
        match pieces.recv().await {
            Some(piece) => Some((Ok(piece), (pieces, ended))),
            // The head has gone out; a connection that breaks off is what is left to say that this is not the end.
            None => ended?.await.err().map(|failure| (Err(io::Error::other(failure)), (pieces, None))),
        }
    })
}
