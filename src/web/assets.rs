//! The files that pages load: embedded in the binary, named by their content, cached for ever.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use super::entity_tag;

/// The route of [`get`], below the issuer's path.
pub(crate) const ROUTE: &str = "/assets/{name}";

/// A year: the longest that caches honour (RFC 9111 §1.2.2), and a new content has a new name.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// Name, media type and content of every asset.
const FILES: [(&str, &str, &[u8]); 3] = [
    ("app.css", "text/css; charset=utf-8", include_bytes!("../../static/app.css")),
    ("favicon.svg", "image/svg+xml", include_bytes!("../../static/favicon.svg")),
    ("form_post.js", "text/javascript; charset=utf-8", include_bytes!("../../static/form_post.js")),
];

static ASSETS: LazyLock<[Asset; FILES.len()]> =
    LazyLock::new(|| FILES.map(|(name, content_type, bytes)| Asset::named_by_content(name, content_type, bytes)));

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// `/assets/app-0123456789abcdef.css`
    url: String,
    /// The hash again, quoted (RFC 9110 §8.8.3).
    etag: String,
}

impl Asset {
    fn named_by_content(name: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let start = digest.iter().take(8).fold(0, |start, byte| start << 8 | u64::from(*byte));
        let hash = format!("{start:016x}");
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
        Self { name, content_type, bytes, url: format!("/assets/{stem}-{hash}.{extension}"), etag: format!("\"{hash}\"") }
    }
}

/// The path of an asset below the issuer's path.
///
/// # Panics
///
/// When there is no asset of this name: a test looks every name in the templates up.
pub(crate) fn asset(name: &str) -> &'static str {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    &asset.expect("templates name only assets that exist").url
}

/// `GET /assets/{name}`; nothing for another name.
pub(crate) fn get(name: &str, headers: &HeaderMap) -> Option<Response> {
    let asset = ASSETS.iter().find(|asset| asset.url.strip_prefix("/assets/") == Some(name))?;
    let fixed = [(header::CACHE_CONTROL, CACHE_CONTROL), (header::ETAG, asset.etag.as_str())];
    if entity_tag::is_known(headers, &asset.etag) {
        return Some((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    Some((fixed, [(header::CONTENT_TYPE, asset.content_type)], Body::from(asset.bytes)).into_response())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fetch(url: &str, headers: &HeaderMap) -> Response {
        let name = url.strip_prefix("/assets/").expect("an asset's address");
        get(name, headers).expect("an asset")
    }

    #[tokio::test]
    async fn every_asset_is_served_under_its_address_for_ever() {
        for (name, content_type, bytes) in FILES {
            let answer = fetch(asset(name), &HeaderMap::new());

            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[header::CONTENT_TYPE], content_type);
            assert_eq!(answer.headers()[header::CACHE_CONTROL], CACHE_CONTROL);
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
            assert_eq!(body, bytes);
        }
    }

    /// RFC 9110 §13.1.2: who already has the content is not sent it again.
    #[test]
    fn a_known_asset_is_not_sent_again() {
        let first = fetch(asset("app.css"), &HeaderMap::new());
        let etag = first.headers()[header::ETAG].clone();

        let known = fetch(asset("app.css"), &HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)]));
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

        let other = HeaderValue::from_static("\"0000000000000000\"");
        let changed = fetch(asset("app.css"), &HeaderMap::from_iter([(header::IF_NONE_MATCH, other)]));
        assert_eq!(changed.status(), StatusCode::OK);
    }

    #[test]
    fn other_names_are_not_found() {
        for name in ["app.css", "app-0000000000000000.css", "", "../Cargo.toml"] {
            assert!(get(name, &HeaderMap::new()).is_none(), "{name}");
        }
    }

    /// Calls [`asset`] with every name that any template has, which panics for an unknown one.
    #[test]
    fn templates_name_only_assets_that_exist() {
        let named = regex::Regex::new(r#"\basset\("([^"]*)"\)"#).expect("a regular expression");
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")];
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of templates") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let template = std::fs::read_to_string(path).expect("a template");
                for (_, [name]) in named.captures_iter(&template).map(|captures| captures.extract()) {
                    assert!(asset(name).starts_with("/assets/"));
                    found += 1;
                }
            }
        }
        assert!(found > 0);
    }

    #[test]
    #[should_panic(expected = "templates name only assets that exist")]
    fn an_unknown_name_is_a_mistake_in_a_template() {
        asset("missing.css");
    }
}
