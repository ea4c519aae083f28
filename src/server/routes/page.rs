//! The page at `/`: its files as they lie in `src/server/page/`, and the studies that it offers to try.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::server::state::Shared;

/// A file that the page is made of, or offers.
struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! page {
    ($path:literal, $file:literal, $kind:expr) => {
        Asset { path: $path, kind: $kind, bytes: include_bytes!(concat!("../page/", $file)) }
    };
}

macro_rules! example {
    ($file:literal, $kind:literal) => {
        Asset {
            path: concat!("/examples/", $file),
            kind: $kind,
            bytes: include_bytes!(concat!("../../../examples/", $file)),
        }
    };
}

const PAGE: [Asset; 11] = [
    page!("/", "index.html", HTML),
    page!("/page/style.css", "style.css", CSS),
    page!("/page/icon.svg", "icon.svg", "image/svg+xml"),
    page!("/page/api.js", "api.js", SCRIPT),
    page!("/page/app.js", "app.js", SCRIPT),
    page!("/page/dom.js", "dom.js", SCRIPT),
    page!("/page/look.js", "look.js", SCRIPT),
    page!("/page/sse.js", "sse.js", SCRIPT),
    page!("/page/talk.js", "talk.js", SCRIPT),
    page!("/page/viewer.js", "viewer.js", SCRIPT),
    page!("/page/zip.js", "zip.js", SCRIPT),
];

const EXAMPLES: [Asset; 5] = [
    example!("chest.png", "image/png"),
    example!("fundus.png", "image/png"),
    example!("fundus_clear.png", "image/png"),
    example!("clip.mp4", "video/mp4"),
    example!("chest.nii.gz", "application/gzip"),
];

/// Nothing from elsewhere, nothing inside the text of the page, and no page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    // It is asked each time whether it is still the same: another version of the program may have another page.
    (header::CACHE_CONTROL, "no-cache"),
];

/// The page and its files.
pub(super) fn router() -> Router<Shared> {
    PAGE.iter().chain(&EXAMPLES).fold(Router::new(), |router, asset| {
        let tag = tag(asset.bytes);
        router.route(asset.path, get(move |headers: HeaderMap| async move { answer(asset, &tag, &headers) }))
    })
}

/// The entity tag of a file.
fn tag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn answer(asset: &'static Asset, tag: &str, asked: &HeaderMap) -> Response {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|tags| tags.split(',')).map(|one| one.trim().trim_start_matches("W/"));
    let mut response = match known.any(|one| one == tag || one == "*") {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => asset.bytes.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST_BYTES: usize = 60_000;

    fn text(asset: &Asset) -> &str {
        std::str::from_utf8(asset.bytes).unwrap()
    }

    #[test]
    fn the_page_is_small_and_whole() {
        let size: usize = PAGE.iter().map(|asset| asset.bytes.len()).sum();
        assert!(size <= MOST_BYTES, "{size} bytes");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/page");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), PAGE.len());
    }

    #[test]
    fn what_the_page_names_is_served_and_from_nowhere_else() {
        let served = |path: &str| PAGE.iter().chain(&EXAMPLES).any(|asset| asset.path == path);
        for asset in &PAGE {
            let text = text(asset);
            let folder = |text: &str| text.starts_with("/page/") || text.starts_with("/examples/");
            for quoted in
                text.split(['"', '\'', '`']).filter(|quoted| folder(quoted) && !quoted.contains('$'))
            {
                assert!(served(quoted), "{}: {quoted}", asset.path);
            }
            for module in text.split("from './").skip(1) {
                let path = format!("/page/{}", module.split('\'').next().unwrap());
                assert!(served(&path), "{}: {path}", asset.path);
            }
            let elsewhere = text.replace("http://www.w3.org/", "");
            assert!(!elsewhere.contains("://"), "{}", asset.path);
        }
    }

    #[test]
    fn the_policy_would_stop_nothing_that_the_page_does() {
        let page = text(&PAGE[0]);
        for inline in ["style=", "<style", "javascript:", "onclick=", "onload=", "<script>"] {
            assert!(!page.contains(inline), "{inline}");
        }
        for asset in PAGE.iter().filter(|asset| asset.kind == SCRIPT) {
            for stopped in
                ["eval(", "new Function", "innerHTML", "insertAdjacentHTML", "setAttribute('style'"]
            {
                assert!(!text(asset).contains(stopped), "{}: {stopped}", asset.path);
            }
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let asset = &PAGE[0];
        let tag = tag(asset.bytes);
        let ask = |known: Option<&str>| {
            let mut headers = HeaderMap::new();
            known.map(|known| headers.insert(header::IF_NONE_MATCH, known.parse().unwrap()));
            answer(asset, &tag, &headers)
        };
        for (known, status) in [
            (None, 200),
            (Some("\"other\""), 200),
            (Some(tag.as_str()), 304),
            (Some(format!("\"other\", W/{tag}").as_str()), 304),
            (Some("*"), 304),
        ] {
            let response = ask(known);
            assert_eq!(response.status(), status, "{known:?}");
            assert_eq!(response.headers()[header::ETAG], tag);
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        }
    }
}
