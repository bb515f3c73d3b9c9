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
}
