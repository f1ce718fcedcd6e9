//! `postgate:mail/mail-authentication`: SPF, DKIM, DMARC, ARC and reverse DNS of the current message.

use crate::bindings::postgate::mail::mail_authentication::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

impl Host for State {
    async fn iprev(&mut self) -> wasmtime::Result<Result<IprevResult, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn spf(&mut self) -> wasmtime::Result<Result<SpfResult, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn dkim(&mut self) -> wasmtime::Result<Result<Vec<DkimResult>, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn dmarc(&mut self) -> wasmtime::Result<Result<DmarcResult, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn arc(&mut self) -> wasmtime::Result<Result<ArcResult, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn results_field(&mut self) -> wasmtime::Result<Result<String, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
}
