//! `client_secret_basic`: HTTP Basic with form-encoded id and secret (OAuth 2.1 §2.4.1, RFC 7617).

use base64::prelude::{BASE64_STANDARD, Engine};
use http::HeaderValue;

use super::Credentials;
use crate::{
    oauth::{ErrorCode, OAuthError},
    secret::Secret,
};

pub(crate) fn credentials(header: &HeaderValue) -> Result<Credentials, OAuthError> {
    parse(header).ok_or_else(|| {
        OAuthError::new(
            ErrorCode::InvalidClient,
            "The Authorization header must be: Basic, a space, and base64 of client_id:client_secret.",
        )
    })
}

fn parse(header: &HeaderValue) -> Option<Credentials> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client_id, secret) = decoded.split_once(':')?;
    Some(Credentials { client_id: form_decoded(client_id)?, secret: Some(Secret::from(form_decoded(secret)?)) })
}

/// OAuth 2.1 §2.4.1: both parts are encoded as in a form.
fn form_decoded(text: &str) -> Option<String> {
    let with_spaces = text.replace('+', " ");
    percent_encoding::percent_decode_str(&with_spaces).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        let header = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(text))).unwrap();
        parse(&header).map(|credentials| (credentials.client_id, credentials.secret.unwrap().expose().to_owned()))
    }

    #[test]
    fn id_and_secret_are_form_decoded() {
        assert_eq!(read("app:secret"), Some(("app".into(), "secret".into())));
        assert_eq!(read("a%3Ab:s+%2B%25"), Some(("a:b".into(), "s +%".into())));
        assert_eq!(read("app:a:b"), Some(("app".into(), "a:b".into())));
    }

    #[test]
    fn what_is_not_basic_is_refused() {
        for text in ["", "Basic", "Basic !", "Bearer abc", "Basic YXBw"] {
            assert!(parse(&HeaderValue::from_str(text).unwrap()).is_none(), "{text}");
        }
        assert_eq!(read("app:%ff"), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let _ = parse(&header);
            }
        }

        /// RFC 7617 §2, OAuth 2.1 §2.4.1: what is read says what was sent, up to the spelling of its encodings.
        #[test]
        fn what_is_read_is_what_base64_and_form_encoding_hold(text in "[a-z:+% 0-9A-F\u{fc}]{0,20}", scheme in "[bB]asic|BASIC|Bearer|Basi") {
            let header = HeaderValue::from_str(&format!("{scheme} {}", BASE64_STANDARD.encode(&text))).unwrap();
            let parts = text.split_once(':').map(|(id, secret)| (form_decoded(id), form_decoded(secret)));
            let expected = match parts {
                Some((Some(id), Some(secret))) if scheme.eq_ignore_ascii_case("basic") => Some((id, secret)),
                _ => None,
            };
            let credentials = parse(&header).map(|read| (read.client_id, read.secret.unwrap().expose().to_owned()));
            prop_assert_eq!(credentials, expected);
        }

        /// Any id and secret get through, whatever characters they have.
        #[test]
        fn every_id_and_secret_can_be_sent(id in ".{0,12}", secret in ".{0,12}") {
            let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            prop_assert_eq!(read(&format!("{}:{}", encoded(&id), encoded(&secret))), Some((id, secret)));
        }

        #[test]
        fn a_form_is_decoded_as_the_url_standard_says(text in "[a-z+%0-9A-F\u{fc}]{0,20}") {
            let as_form = url::form_urlencoded::parse(format!("name={text}").as_bytes()).next().map(|(_, value)| value.into_owned());
            prop_assert!(form_decoded(&text).is_none_or(|decoded| Some(decoded) == as_form), "{}", text);
        }
    }
}
