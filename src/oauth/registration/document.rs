//! What is registered, as a document (RFC 7591 §3.2.1).

use serde_json::{Map, Value, json};

use crate::oauth::{Algorithm, Client, GrantType, client::ClientType, client_auth_method::ClientAuthMethod};

/// Every member of a client's registration by its name, defaults included.
pub fn registered(client: &Client) -> Map<String, Value> {
    let metadata = &client.metadata;
    let uses_code = client.grant_types.contains(&GrantType::AuthorizationCode);
    let method = metadata.token_endpoint_auth_method.unwrap_or(match client.client_type {
        ClientType::Public => ClientAuthMethod::None,
        ClientType::Confidential => ClientAuthMethod::ClientSecretBasic,
    });
    let mut members = object(json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at.as_seconds(),
        "client_name": client.name,
        "application_type": client.application_type,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": if uses_code { vec!["code"] } else { Vec::new() },
        "scope": client.scope,
        "token_endpoint_auth_method": method,
        "subject_type": metadata.subject_type.as_str(),
        "id_token_signed_response_alg": metadata.id_token_signed_response_alg.unwrap_or(Algorithm::Rs256),
        "require_auth_time": metadata.require_auth_time,
    }));
    members.extend(metadata_members(client));
    members
}

/// What is kept beyond the core, by the registered names; members in other languages beside the others.
pub fn metadata_members(client: &Client) -> Map<String, Value> {
    let mut members = object(json!(client.metadata));
    if let Some(Value::Object(localized)) = members.remove("localized") {
        members.extend(localized);
    }
    members
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
