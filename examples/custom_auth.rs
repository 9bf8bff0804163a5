//! How are requests signed in a way of one's own? Here by an HMAC over the method, the path and the body.
//!
//! Writes to a fake server of its own.

use actionlog::IntegrationClient;
use actionlog::auth::{AuthError, Authenticate, Secret, Signature};
use actionlog::integration::{ActionLogDraft, ActionType, LogStatus, RequiredFields};
use actionlog::testing::World;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request};
use sha2::Sha256;

/// Signs each attempt anew, so that a signature may hold a time as well.
#[derive(Debug)]
struct Signed {
    key: Secret,
}

#[async_trait::async_trait]
impl Authenticate for Signed {
    async fn sign(&self, request: &mut Request<Bytes>) -> Result<Signature, AuthError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes()).map_err(AuthError::new)?;
        mac.update(request.method().as_str().as_bytes());
        mac.update(request.uri().path().as_bytes());
        mac.update(request.body());
        let code: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let value = HeaderValue::from_str(&code).map_err(AuthError::new)?;
        request.headers_mut().insert("x-signature", value);
        Ok(Signature::new())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = World::new();
    let client = IntegrationClient::builder("http://localhost")
        .authenticator(Signed { key: "shared secret".into() })
        .exchange(world.exchange())
        .build()?;

    let draft = ActionLogDraft::new(RequiredFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Success,
    });
    let log = client.logs().create(draft).await?;
    client.logs().get(log.id).await?;

    for request in world.requests() {
        let signed = if request.has_header("x-signature") { "signed" } else { "NOT SIGNED" };
        println!("{:<5} {:<52} {signed}", request.method.as_str(), request.path);
    }
    Ok(())
}
