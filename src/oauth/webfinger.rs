//! `WebFinger` (RFC 7033): from what a person calls themselves to the issuer that they sign in at (`OpenID` Discovery §2).

use serde::Serialize;
use url::Url;

use super::{error::OAuthError, issuer::Issuer, params::Params};

/// The relation of a person to their issuer (`OpenID` Discovery §2).
pub const ISSUER_RELATION: &str = "http://openid.net/specs/connect/1.0/issuer";

/// A JSON Resource Descriptor (RFC 7033 §4.4).
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Descriptor<'a> {
    subject: &'a str,
    links: Vec<Link<'a>>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Link<'a> {
    rel: &'static str,
    href: &'a str,
}

/// What there is to say about a resource; nothing, unless it is at the issuer's host. Whether anybody is called so changes nothing:
/// the answer is the same for all.
pub fn describe<'a>(issuer: &'a Issuer, params: &'a Params) -> Result<Option<Descriptor<'a>>, OAuthError> {
    if params.is_repeated("resource") {
        return Err(OAuthError::invalid_request("Send one 'resource' only (RFC 7033 4.1)."));
    }
    let resource = params.required("resource")?;
    let uri =
        Url::parse(resource).map_err(|_| OAuthError::invalid_request("The 'resource' must be a URI, such as acct:alice@example.com."))?;
    if !is_at(issuer, &uri) {
        return Ok(None);
    }
    let is_wanted = params.get("rel").is_none() || params.all("rel").any(|rel| rel == ISSUER_RELATION);
    let links = is_wanted.then(|| Link { rel: ISSUER_RELATION, href: issuer.as_str() });
    Ok(Some(Descriptor { subject: resource, links: links.into_iter().collect() }))
}

/// Whether the resource belongs to the issuer's host: `acct:` (RFC 7565) with its name, with or without its port, or a URL of
/// its origin.
fn is_at(issuer: &Issuer, resource: &Url) -> bool {
    if resource.scheme() != "acct" {
        return resource.origin().ascii_serialization() == issuer.origin();
    }
    let authority = issuer.origin().split_once("://").map_or("", |(_, authority)| authority);
    let host = Url::parse(issuer.origin()).ok().and_then(|origin| origin.host_str().map(str::to_owned)).unwrap_or_default();
    let account = resource.path().rsplit_once('@').filter(|(user, _)| !user.is_empty());
    account.is_some_and(|(_, at)| at.eq_ignore_ascii_case(&host) || at.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_found(issuer: &str, resource: &str) -> bool {
        let params = Params::from_pairs(vec![("resource".to_owned(), resource.to_owned())]);
        let issuer = issuer.parse().expect(issuer);
        matches!(describe(&issuer, &params), Ok(Some(_)))
    }

    #[test]
    fn resources_of_the_issuers_host_are_found_and_no_others() {
        let found: &[&str] = &[
            "acct:alice@example.com",
            "acct:alice@EXAMPLE.com",
            "acct:alice@example.com:8443",
            "acct:alice%40work.example@example.com",
            "https://example.com:8443/alice",
            "https://example.com:8443",
        ];
        let others: &[&str] = &[
            "acct:alice@example.org",
            "acct:alice@id.example.com",
            "acct:alice@example.com.evil.example",
            "acct:alice@example.com:443",
            "acct:@example.com",
            "acct:alice",
            "acct:example.com",
            "https://example.com/alice",
            "http://example.com:8443/alice",
            "https://example.com:8443@evil.example/",
            "mailto:alice@example.com",
        ];
        for issuer in ["https://example.com:8443", "https://example.com:8443/tenant/a"] {
            assert!(found.iter().all(|resource| is_found(issuer, resource)), "{issuer}");
            assert!(others.iter().all(|resource| !is_found(issuer, resource)), "{issuer}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_found_not_found_or_refused(resource in prop_oneof!["(acct:|https://)?.{0,60}", "acct:[a-z%@:.]{0,40}"]) {
            let _ = is_found("https://example.com", &resource);
        }
    }
}
