//! Rows of any content.

use proptest::{prelude::*, sample::select};

use super::*;

proptest! {
    /// A row that was changed by hand, or by a newer version: a client that makes sense, or an error that names the column.
    #[test]
    fn any_row_is_a_client_or_an_error_that_names_the_column(
        id in prop_oneof![Just("app".to_owned()), "\\PC{0,8}"],
        client_type in select(&["public", "confidential", "Public", "", "1"][..]),
        application_type in select(&["web", "native", "browser"][..]),
        scope in prop_oneof![Just("openid".to_owned()), "\\PC{0,8}"],
        trust in select(&["operator", "self_registered", "nobody"][..]),
        refresh_rotation in select(&["rotate", "keep", "maybe"][..]),
        hash in prop::collection::vec(any::<u8>(), 31..34),
    ) {
        let row = ClientRow {
            id: id.clone(),
            name: "App".to_owned(),
            client_type: client_type.to_owned(),
            application_type: application_type.to_owned(),
            redirect_uris: Json(Vec::new()),
            grant_types: Json(Vec::new()),
            scope: scope.clone(),
            resources: Json(Vec::new()),
            introspects: Json(Vec::new()),
            first_party_at: None,
            trust: trust.to_owned(),
            refresh_rotation: refresh_rotation.to_owned(),
            created_at: Timestamp::from_micros(0),
            disabled_at: None,
            tokens_not_before: None,
            declared_in: None,
            metadata: Json(ClientMetadata::default()),
            unused_until: None,
            revision: 0,
        };
        let parts = [
            ("id", ClientId::parse(&id).is_ok()),
            ("client_type", ["public", "confidential"].contains(&client_type)),
            ("application_type", ["web", "native"].contains(&application_type)),
            ("scope", Scope::parse(&scope).is_ok()),
            ("trust", trust != "nobody"),
            ("refresh_rotation", refresh_rotation != "maybe"),
            ("client_secrets.hash", hash.len() == 32),
        ];
        let wrong = parts.into_iter().find(|(_, is_right)| !is_right).map(|(column, _)| column);
        match (row.into_client(vec![SecretRow { hash, sealed: None, created_at: Timestamp::from_micros(0), ends_at: None, declared_at: None }]), wrong) {
            (Ok(client), None) => prop_assert_eq!((client.id.as_str(), client.client_type.as_str()), (id.as_str(), client_type)),
            (Err(Error::Internal(fault)), Some(column)) => prop_assert!(fault.to_string().ends_with(column), "{}", fault),
            (read, wrong) => prop_assert!(false, "{:?} {:?}", read.map(|client| client.id), wrong),
        }
    }

    /// The lists of a row are JSON: of these names, or not read at all.
    #[test]
    fn any_json_in_a_list_is_read_or_refused(
        text in prop_oneof!["\\PC{0,20}", "\\[(\"(authorization_code|refresh_token|password)\",?){0,2}\\]"]
    ) {
        if let Ok(types) = serde_json::from_str::<Vec<GrantType>>(&text) {
            prop_assert!(types.iter().all(|grant_type| text.contains(grant_type.as_str())) && !text.contains("password"));
        }
        let _ = serde_json::from_str::<Vec<RedirectUri>>(&text);
    }
}
