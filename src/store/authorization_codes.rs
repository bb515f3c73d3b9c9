//! `authorization_codes`: issued and not yet expired. Redeeming one writes its `grants` row, which is what spends it.

use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, Swapped,
    backend::{Conn, Extent, Verb, read, run},
    session_clients::{self, SessionClient},
};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    oauth::{ClientId, Resource, Scope, claims_request::AllowedClaims, pkce::CodeChallenge},
    secret::SecretHash,
};

/// What a code stands for (OAuth 2.1 §4.1.2).
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationCode {
    pub hash: SecretHash,
    pub person_id: Uuid,
    pub client_id: ClientId,
    /// The browser session that what it obtains ends with; none with `offline_access`.
    pub session_id: Option<Uuid>,
    pub scope: Scope,
    pub resources: Vec<Resource>,
    pub redirect_uri: String,
    /// None for a client whose `pkce` does without.
    pub code_challenge: Option<CodeChallenge>,
    /// Goes into the ID token (`OpenID` Core §2).
    pub nonce: Option<String>,
    pub claims_request: Option<AllowedClaims>,
    /// The session at which it was issued, whether or not what it obtains ends with that.
    pub sid: Option<Uuid>,
    pub auth_time: Timestamp,
    pub amr: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(FromRow)]
struct CodeRow {
    hash: Vec<u8>,
    person_id: Uuid,
    client_id: String,
    session_id: Option<Uuid>,
    scope: String,
    resources: Json<Vec<Resource>>,
    redirect_uri: String,
    code_challenge: Option<String>,
    nonce: Option<String>,
    claims_request: Option<Json<AllowedClaims>>,
    sid: Option<Uuid>,
    auth_time: Timestamp,
    amr: Json<Vec<String>>,
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl TryFrom<CodeRow> for AuthorizationCode {
    type Error = Error;

    fn try_from(row: CodeRow) -> Result<Self> {
        let nonsense = |column: &str| Error::internal(format!("a row of authorization_codes makes no sense: {column}"));
        Ok(Self {
            hash: SecretHash::from_bytes(&row.hash).ok_or_else(|| nonsense("hash"))?,
            person_id: row.person_id,
            client_id: ClientId::parse(&row.client_id).map_err(|_| nonsense("client_id"))?,
            session_id: row.session_id,
            scope: Scope::parse(&row.scope).map_err(|_| nonsense("scope"))?,
            resources: row.resources.0,
            redirect_uri: row.redirect_uri,
            code_challenge: row
                .code_challenge
                .map(|text| CodeChallenge::parse(&text).ok_or_else(|| nonsense("code_challenge")))
                .transpose()?,
            nonce: row.nonce,
            claims_request: row.claims_request.map(|json| json.0),
            sid: row.sid,
            auth_time: row.auth_time,
            amr: row.amr.0,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

impl Store {
    /// The code with this hash, expired or not, spent or not.
    pub(crate) async fn authorization_code(&self, hash: &SecretHash) -> Result<Option<AuthorizationCode>> {
        const SELECT: &str = "SELECT hash, person_id, client_id, session_id, scope, resources, redirect_uri, code_challenge, auth_time, amr, \
             created_at, expires_at, nonce, claims_request, sid FROM authorization_codes WHERE hash = $1";
        let row: Option<CodeRow> = read!(self, db => sqlx::query_as(SELECT).bind(hash.as_bytes()).fetch_optional(db).await?);
        row.map(AuthorizationCode::try_from).transpose()
    }
}

/// Issues a code at a session. Missed if the session ended meanwhile, or the consent was withdrawn or replaced.
pub(crate) struct InsertAuthorizationCode {
    pub code: AuthorizationCode,
    /// Where the person is signed in, whether or not what the code obtains ends with it.
    pub issued_at: Uuid,
    /// The consent on record that the answer rests on, by its time; none where none is needed.
    pub consent_given_at: Option<Timestamp>,
}

/// On Postgres the rows of session and consent are locked: whoever ends them waits for the code and deletes it, too, or it is not issued.
macro_rules! insert_code {
    ($lock_consent:literal, $lock_session:literal) => {
        concat!(
            "INSERT INTO authorization_codes (hash, person_id, client_id, session_id, scope, resources, redirect_uri, code_challenge, auth_time, \
             amr, created_at, expires_at, nonce, claims_request, sid) \
             SELECT $1, session.person_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $15, $16, session.id FROM browser_sessions AS session \
             WHERE session.id = $13 AND session.person_id = $2 AND ($14 IS NULL OR EXISTS \
             (SELECT 1 FROM consents WHERE consents.person_id = $2 AND consents.client_id = $3 AND consents.given_at = $14",
            $lock_consent,
            "))",
            $lock_session
        )
    };
}

impl Verb for InsertAuthorizationCode {
    type Told = Swapped;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        let insert = match conn {
            Conn::Sqlite(_) => insert_code!("", ""),
            Conn::Postgres(_) => insert_code!(" FOR KEY SHARE", " FOR KEY SHARE OF session"),
        };
        let code = &self.code;
        let inserted = run!(conn, db => sqlx::query(insert)
            .bind(code.hash.as_bytes())
            .bind(code.person_id)
            .bind(code.client_id.as_str())
            .bind(code.session_id)
            .bind(code.scope.to_string())
            .bind(Json(&code.resources))
            .bind(&code.redirect_uri)
            .bind(code.code_challenge.as_ref().map(CodeChallenge::as_str))
            .bind(code.auth_time)
            .bind(Json(&code.amr))
            .bind(code.created_at)
            .bind(code.expires_at)
            .bind(self.issued_at)
            .bind(self.consent_given_at)
            .bind(&code.nonce)
            .bind(code.claims_request.as_ref().map(Json))
            .execute(db).await?.rows_affected());
        Ok(Swapped::from_rows(inserted))
    }
}

/// Issues a code to a client that is to be told when the session ends (`OpenID` Back-Channel Logout §2.3), and notes that.
pub(crate) struct InsertCodeOfSessionClient {
    pub insert: InsertAuthorizationCode,
    /// When the client can be forgotten, unless the session lives on.
    pub remembered_until: Timestamp,
}

impl Verb for InsertCodeOfSessionClient {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        let inserted = self.insert.run(conn).await?;
        if inserted == Swapped::Done {
            let code = &self.insert.code;
            let client = SessionClient {
                session_id: self.insert.issued_at,
                client_id: &code.client_id,
                person_id: code.person_id,
                expires_at: self.remembered_until,
            };
            session_clients::remember(conn, &client).await?;
        }
        Ok(inserted)
    }
}
