//! The access token of a request (OAuth 2.1 §5.1.1), in the `Authorization` header alone.

use axum::http::{HeaderMap, header};

use super::refusal::Reason;

/// Reads the token; whether it is any good is for the verifier to say.
pub fn token(headers: &HeaderMap) -> Result<&str, Reason> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Reason::NoToken) };
    // Two of them, and two readers might believe two different ones.
    if values.next().is_some() {
        return Err(Reason::Malformed);
    }
    let value = value.to_str().map_err(|_| Reason::Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Reason::NoToken);
    }
    let token = token.trim_start_matches(' ');
    if token.is_empty() || token.contains([' ', ',']) { Err(Reason::Malformed) } else { Ok(token) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&'static str]) -> Result<String, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        token(&headers).map(str::to_owned)
    }

    #[test]
    fn a_token_follows_its_scheme_whose_case_does_not_matter() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(read(&[value]).unwrap(), "abc", "{value}");
        }
    }

    #[test]
    fn another_scheme_is_no_token_and_half_a_header_is_malformed() {
        for values in [&[][..], &["Basic YTpi"], &["abc"], &[""]] {
            assert!(matches!(read(values), Err(Reason::NoToken)), "{values:?}");
        }
        for values in [&["Bearer"][..], &["Bearer "], &["Bearer a b"], &["Bearer a,b"], &["Bearer a", "Bearer b"]] {
            assert!(matches!(read(values), Err(Reason::Malformed)), "{values:?}");
        }
    }
}
