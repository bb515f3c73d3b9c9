//! Where the data lives.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;
use zeroize::Zeroizing;

/// `sqlite:PATH` or `postgres://...`. `Debug` and `Display` mask the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    /// The URL as the operator wrote it, with its password.
    Postgres(Zeroizing<String>),
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" | ":memory:" => Err("must name a file: sqlite:/var/lib/grantor/grantor.db"),
                _ if path.contains('?') => Err("takes no options on SQLite: write sqlite: and the path alone"),
                _ => Ok(Self::Sqlite(path.into())),
            };
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("must begin with sqlite: or postgres://");
        }
        match Url::parse(text) {
            Ok(url) if is_unambiguous(&url) => Ok(Self::Postgres(Zeroizing::new(text.to_owned()))),
            _ => Err("is not a URL: percent-encode what is not a letter, a digit or one of -._~ in the user and the password"),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(text) => f.write_str(&masked(text)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `text` without its password, whether or not it is a database URL that can be used.
pub(super) fn masked(text: &str) -> String {
    const MASK: &str = "***";
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Some(mut url) = Url::parse(text).ok().filter(is_unambiguous) else {
        return MASK.to_owned();
    };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if url.query().is_some() {
        let options: Vec<_> = url
            .query_pairs()
            .map(|(name, value)| if name.to_lowercase().contains("password") { (name, MASK.into()) } else { (name, value) })
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(options);
    }
    url.into()
}

/// Whether the parts are what they seem: a `#`, `/` or `?` in a password that is not percent-encoded moves
/// the rest of it, and the `@`, into another part.
fn is_unambiguous(url: &Url) -> bool {
    !url.cannot_be_a_base() && url.fragment().is_none() && !url.path().contains('@') && !url.query().is_some_and(|q| q.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_is_a_path_with_or_without_slashes() {
        for (text, path) in
            [("sqlite:data/grantor.db", "data/grantor.db"), ("sqlite:/srv/g.db", "/srv/g.db"), ("sqlite:///srv/g.db", "/srv/g.db")]
        {
            assert_eq!(text.parse(), Ok(DatabaseUrl::Sqlite(path.into())), "{text}");
        }
        for text in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:g.db?mode=ro"] {
            assert!(text.parse::<DatabaseUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn postgres_is_kept_as_written() {
        for text in [
            "postgres://grantor:s3cret@db.example.com/grantor",
            "postgresql://grantor@[::1]:5433/grantor?sslmode=verify-full",
            "postgres:///grantor?host=/run/postgresql&user=grantor",
        ] {
            assert_eq!(text.parse(), Ok(DatabaseUrl::Postgres(Zeroizing::new(text.to_owned()))), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "mysql://localhost/x", "grantor.db", "postgres:grantor", "postgres://a:b#c@host/x", "postgres://a:1/c@host/x"] {
            assert!(text.parse::<DatabaseUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_spelling_shows_the_password() {
        for text in [
            "postgres://grantor:hunter2@db/grantor",
            "postgres://grantor@db/grantor?password=hunter2",
            "postgres://grantor@db/grantor?sslpassword=hunter2",
            "postgres://grantor:1#hunter2@db/grantor",
            "postgres://grantor:1/hunter2@db/grantor",
            "postgres://grantor:1?hunter2@db/grantor",
            "postgres://grantor:hunter2 @db:port/grantor",
            "mysql://grantor:hunter2@db/grantor",
            "grantor:hunter2@db/grantor",
            "host=db password=hunter2",
            "postgres:grantor:hunter2@db",
        ] {
            assert!(!masked(text).contains("hunter2"), "{text}: {}", masked(text));
        }
        assert_eq!(masked("postgres://grantor:hunter2@db/grantor"), "postgres://grantor:***@db/grantor");
        assert_eq!(masked("postgres:///g?host=/run&user=u"), "postgres:///g?host=%2Frun&user=u");
        let url: DatabaseUrl = "postgres://grantor:hunter2@db/grantor".parse().expect("a URL");
        assert!(!format!("{url} {url:?}").contains("hunter2"));
    }
}
