"""Choosing service drivers and stores from the plan."""

from __future__ import annotations

from processpilot.plan.component import (
    Component,
    Pm2Process,
    StartStopCommands,
    SupervisordProgram,
    SystemdUnit,
)
from processpilot.plan.load import LoadedPlan
from processpilot.plan.secrets import read_secret
from processpilot.services.command import CommandDriver
from processpilot.services.driver import ServiceDriver
from processpilot.services.pm2 import Pm2Driver
from processpilot.services.supervisord import SupervisordDriver
from processpilot.services.systemd import SystemdDriver
from processpilot.storage.open import StoreOptions, open_store
from processpilot.storage.store import ObjectStore


def driver_for(component: Component, loaded: LoadedPlan) -> ServiceDriver | None:
    """Return the driver for what runs a component, or None when the plan does not say."""
    match component.service:
        case SupervisordProgram() as service:
            password = service.password
            return SupervisordDriver(
                service.server,
                service.name,
                timeout_s=service.timeout_s,
                username=service.user,
                password=None if password is None else read_secret(password, loaded.base).text,
            )
        case SystemdUnit() as service:
            return SystemdDriver(service.unit, timeout_s=service.timeout_s, user=service.user)
        case Pm2Process() as service:
            return Pm2Driver(
                service.name,
                timeout_s=service.timeout_s,
                home=None if service.home is None else loaded.resolve(service.home),
                program=service.program,
            )
        case StartStopCommands() as service:
            return CommandDriver(
                service.start, service.stop, service.status, timeout_s=service.timeout_s
            )
        case None:
            return None


def store_for(loaded: LoadedPlan, *, create: bool = False) -> ObjectStore:
    """Return the store that the plan's repository lies in."""
    spec = loaded.plan.repository
    url = spec.url if "://" in spec.url else str(loaded.resolve(spec.url))

    def secret(reference: str | None) -> str | None:
        return None if reference is None else read_secret(reference, loaded.base).text

    options = StoreOptions(
        endpoint=spec.options.endpoint,
        region=spec.options.region,
        access_key=secret(spec.options.access_key),
        secret_key=secret(spec.options.secret_key),
        allow_http=spec.options.allow_http,
        timeout_s=spec.options.timeout_s,
    )
    return open_store(url, options, create=create)
