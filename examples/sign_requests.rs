//! How do I sign requests? With a custom [`Authenticate`]: an HMAC over the method, the path and the body.
//!
//! Uses a fake server.

use actionlog::IntegrationClient;
use actionlog::auth::{AuthError, Authenticate, Credentials, Secret};
use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::testing::FakeServer;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request};
use sha2::Sha256;

/// Signs requests. It is called for each attempt, so a signature could include a timestamp.
#[derive(Debug)]
struct HmacSigner {
    key: Secret,
}

#[async_trait::async_trait]
impl Authenticate for HmacSigner {
    async fn authenticate(&self, request: &mut Request<Bytes>) -> Result<Credentials, AuthError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes()).map_err(AuthError::new)?;
        mac.update(request.method().as_str().as_bytes());
        mac.update(request.uri().path().as_bytes());
        mac.update(request.body());
        let code: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let value = HeaderValue::from_str(&code).map_err(AuthError::new)?;
        request.headers_mut().insert("x-signature", value);
        Ok(Credentials::new())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = FakeServer::new();
    let client = IntegrationClient::builder("http://localhost")
        .authenticator(HmacSigner { key: "shared secret".into() })
        .http_client(server.http_client())
        .build()?;

    let input = ActionLogInput::new(ActionLogFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Success,
    });
    let log = client.logs().create(input).await?;
    client.logs().get(log.id).await?;

    for request in server.requests() {
        let signed = if request.has_header("x-signature") { "signed" } else { "NOT SIGNED" };
        println!("{:<5} {:<52} {signed}", request.method.as_str(), request.path);
    }
    Ok(())
}
