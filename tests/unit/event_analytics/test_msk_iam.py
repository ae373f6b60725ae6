"""The signature with which kafka-python opens a connection to MSK, beside botocore's own."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from kafka.net.sasl.msk import AwsMskIamClient

from event_analytics.adapters.kafka_event_log import SECURITY_CONFIG

HOST = "boot-abc1.c1.kafka-serverless.eu-central-1.amazonaws.com"
REGION = "eu-central-1"
ACCESS_KEY, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "secret/with+signs", "token/of=a+role=="
NOW = datetime(2026, 9, 21, 12, 30, 15, tzinfo=UTC)


def signed_by_kafka_python(token: str | None) -> dict[str, str]:
    client = AwsMskIamClient(HOST, ACCESS_KEY, SECRET_KEY, REGION, token)
    client.datestamp, client.timestamp = NOW.strftime("%Y%m%d"), NOW.strftime("%Y%m%dT%H%M%SZ")
    return dict(json.loads(client.first_message()))


def signed_by_botocore(token: str | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None))
    request = AWSRequest("GET", f"https://{HOST}/", params={"Action": "kafka-cluster:Connect"})
    signer = SigV4QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY, token), "kafka-cluster", REGION, expires=900)
    signer.add_auth(request)
    return {name.lower(): values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


@pytest.mark.parametrize("token", [TOKEN, None], ids=["a function's role", "a user"])
def test_the_brokers_are_shown_the_signature_that_botocore_makes(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = signed_by_botocore(token, monkeypatch)

    message = signed_by_kafka_python(token)

    assert message["x-amz-signature"] == expected["x-amz-signature"]
    assert {name: value for name, value in message.items() if name.startswith(("x-amz", "action"))} == expected
    assert (message["host"], message["version"]) == (HOST, "2020_10_22")


def test_msk_is_spoken_to_over_tls_only() -> None:
    assert SECURITY_CONFIG["msk-iam"] == {"security_protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"}
    assert SECURITY_CONFIG["tls"] == {"security_protocol": "SSL"}


def test_botocore_is_imported_only_by_who_signs() -> None:
    program = "import sys, event_analytics.adapters.kafka_event_log as log; print('botocore' in sys.modules)"

    printed: Any = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "False"
