//! Cross-site request forgery: a form may only be posted from our own pages.

use http::{HeaderMap, header::ORIGIN};

use crate::oauth::Issuer;

/// Whether a state-changing request comes from our own site: `Sec-Fetch-Site` says so, else `Origin`. With neither it does not.
pub(crate) fn is_same_site(headers: &HeaderMap, issuer: &Issuer) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        // `none`: the person did it themselves, for example by reloading.
        return site == "same-origin" || site == "none";
    }
    headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes() == issuer.origin().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_same(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect();
        is_same_site(&headers, &"https://auth.example.com".parse::<Issuer>().unwrap())
    }

    #[test]
    fn only_our_own_pages_may_post() {
        assert!(is_same(&[("sec-fetch-site", "same-origin")]));
        assert!(is_same(&[("origin", "https://auth.example.com")]));
        for site in ["cross-site", "same-site", "", "SAME-ORIGIN"] {
            assert!(!is_same(&[("sec-fetch-site", site), ("origin", "https://auth.example.com")]), "{site}");
        }
        for origin in ["https://evil.example", "null", "http://auth.example.com", "https://auth.example.com:8443"] {
            assert!(!is_same(&[("origin", origin)]), "{origin}");
        }
        assert!(!is_same(&[]));
    }

    proptest! {
        #[test]
        fn no_other_bytes_are_our_own(
            site in prop::option::of(prop_oneof!["(same-origin|none|cross-site)[ ,;]?", "\\PC{0,12}"]),
            origin in prop::option::of(prop_oneof!["https?://(AUTH|auth)\\.example\\.com(:443|/|\\.)?", "\\PC{0,30}"]),
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", &site), ("origin", &origin)] {
                let Some(value) = value else { continue };
                let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) else { return Ok(()) };
                headers.insert(name, value);
            }
            let expected = match (site.as_deref(), origin.as_deref()) {
                (Some(site), _) => ["same-origin", "none"].contains(&site),
                (None, origin) => origin == Some("https://auth.example.com"),
            };
            prop_assert_eq!(is_same_site(&headers, &"https://auth.example.com".parse::<Issuer>().unwrap()), expected);
        }
    }
}
