# SPDX-License-Identifier: Apache-2.0
"""Reading, refusing and reloading the configuration."""

import logging
import pathlib

from oslo_config import cfg
import pytest

from aacloud import conf as aacloud_conf
from aacloud.conf import opts


def written(directory: pathlib.Path, text: str) -> str:
    path = directory / "aacloud.conf"
    path.write_text(text, encoding="utf-8")
    return str(path)


def read(*argv: str) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    aacloud_conf.parse_args(
        argv, "aacloud-test", default_config_files=[], conf=conf
    )
    return conf


def test_defaults_are_accepted_and_agree() -> None:
    conf = read()
    assert conf.aacloud_agent.probe_port == 8781
    assert conf.aacloud_api.bind_port == 8790
    assert conf.aacloud_keystone.timeout == 15.0
    assert aacloud_conf.checks.problems(conf) == ()


def test_values_of_a_file(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "[aacloud_failover]\ntick = 2.5\n")
    assert read("--config-file", path).aacloud_failover.tick == 2.5


def test_the_daemons_own_file_wins(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ".aacloud"
    home.mkdir()
    (home / "aacloud.conf").write_text(
        "[aacloud_service]\nhealth_port = 1\nhealth_host = 127.0.0.9\n"
    )
    (home / "aacloud-test.conf").write_text(
        "[aacloud_service]\nhealth_port = 2\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    aacloud_conf.parse_args([], "aacloud-test", conf=conf)
    assert conf.aacloud_service.health_port == 2
    assert conf.aacloud_service.health_host == "127.0.0.9"


def test_every_wrong_value_is_named(tmp_path: pathlib.Path) -> None:
    path = written(
        tmp_path,
        """
[aacloud_agent]
probe_port = abc
tenant_address = 300.1.1.1
[aacloud_failover]
evacuate_microversion = 3
down_vantage_groups = 1
""",
    )
    with pytest.raises(aacloud_conf.ConfigurationError) as refused:
        read("--config-file", path)
    problems = refused.value.problems
    assert len(problems) == 4
    for option in (
        "[aacloud_agent] probe_port",
        "[aacloud_agent] tenant_address",
        "[aacloud_failover] evacuate_microversion",
        "[aacloud_failover] down_vantage_groups",
    ):
        assert any(text.startswith(option) for text in problems)
    assert all(path in text for text in problems)
    assert "300.1.1.1 is not IPv4 or IPv6 address" in problems[
        [text.startswith("[aacloud_agent] tenant") for text in problems].index(
            True
        )
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [("[aacloud_agent\n", "aacloud.conf"), ("tick = 1", "aacloud.conf")],
)
def test_a_file_that_cannot_be_parsed(
    tmp_path: pathlib.Path, text: str, says: str
) -> None:
    with pytest.raises(aacloud_conf.ConfigurationError, match=says):
        read("--config-file", written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: pathlib.Path) -> None:
    missing = str(tmp_path / "missing.conf")
    with pytest.raises(aacloud_conf.ConfigurationError, match=missing):
        read("--config-file", missing)


@pytest.mark.parametrize(
    ("section", "text", "says"),
    [
        ("aacloud_agent", "probe_timeout = 1.0", "probe_timeout (1.0 s)"),
        ("aacloud_agent", "host = ' '", "host must not be empty"),
        ("aacloud_failover", "report_ttl = 1.0", "report_ttl (1.0 s)"),
        ("aacloud_failover", "heartbeat_timeout = 1", "heartbeat_timeout"),
        ("aacloud_failover", "request_grace = 15", "request_grace (15.0 s)"),
        ("aacloud_failover", "hosts_per_rack = 5", "hosts_per_rack (5)"),
        ("aacloud_failover", "hosts_per_cloud = 3", "hosts_per_dc (4)"),
        ("aacloud_failover", "concurrency_max = 3", "concurrency_max (3)"),
        ("aacloud_fencing", "poll = 30", "power_off_timeout"),
        ("aacloud_keystone", "timeout = 0", "timeout must be set"),
        ("aacloud_groups", "request_grace = 15", "request_grace (15.0 s)"),
        ("aacloud_groups", "parallel_inter_dc = 5", "parallel_inter_dc (5)"),
        ("aacloud_groups", "parallel_per_host = 3", "parallel_per_rack (2)"),
        ("aacloud_groups", "default_window = x", "default_window: window"),
        ("aacloud_groups", "trace_retention = 7200\n[aacloud_scheduler]\n"
         "max_stale = 7200", "trace_retention (7200.0 s)"),
        ("aacloud_groups", "plan_retention = 172800\ncool_down = 172800",
         "plan_retention (172800.0 s)"),
        ("aacloud_scheduler", "poll_interval = 5\nmax_stale = 5",
         "poll_interval (5.0 s)"),
    ],
)
def test_options_that_contradict_each_other(
    tmp_path: pathlib.Path, section: str, text: str, says: str
) -> None:
    conf = read("--config-file", written(tmp_path, f"[{section}]\n{text}\n"))
    (problem,) = aacloud_conf.checks.problems(conf)
    assert says in problem


def test_reload_takes_over_what_is_mutable(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, "[aacloud_failover]\ntick = 1\n")
    conf = read("--config-file", path)
    written(
        tmp_path,
        "[aacloud_failover]\ntick = 2\n[aacloud_coordination]\nlease = 9\n",
    )
    assert aacloud_conf.reload(conf) == ("aacloud_failover.tick",)
    assert conf.aacloud_failover.tick == 2
    assert conf.aacloud_coordination.lease == 5


def test_reload_without_a_change(tmp_path: pathlib.Path) -> None:
    conf = read("--config-file", written(tmp_path, ""))
    assert aacloud_conf.reload(conf) == ()


@pytest.mark.parametrize(
    "text",
    [
        "[aacloud_failover]\ntick = soon\n",
        "[aacloud_failover]\ntick = 2\nrequest_grace = 2\n",
        "[aacloud_failover\n",
    ],
)
def test_reload_of_wrong_files_changes_nothing(
    tmp_path: pathlib.Path, text: str
) -> None:
    conf = read(
        "--config-file", written(tmp_path, "[aacloud_failover]\ntick = 1\n")
    )
    written(tmp_path, text)
    with pytest.raises(aacloud_conf.ConfigurationError):
        aacloud_conf.reload(conf)
    assert conf.aacloud_failover.tick == 1
    written(tmp_path, "[aacloud_failover]\ntick = 3\n")
    assert aacloud_conf.reload(conf) == ("aacloud_failover.tick",)
    assert conf.aacloud_failover.tick == 3


def test_changes_are_logged(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, "[aacloud_failover]\ntick = 1\n")
    conf = read("--config-file", path)
    written(
        tmp_path,
        "[aacloud_failover]\ntick = 2\n[aacloud_coordination]\nlease = 9\n",
    )
    with caplog.at_level(logging.INFO):
        aacloud_conf.reload(conf)
    assert "aacloud_failover.tick changed from [1] to [2]" in caplog.text
    assert "immutable option aacloud_coordination.lease" in caplog.text


def test_every_option_explains_itself() -> None:
    for group, options in opts.list_opts():
        for option in options:
            assert option.help, f"[{group}] {option.name} has no help"


def test_no_secret_is_mutable() -> None:
    # oslo.config logs the old and the new value of what changed.
    for group, options in opts.list_opts():
        for option in options:
            assert not (option.secret and option.mutable), (
                f"[{group}] {option.name}"
            )
