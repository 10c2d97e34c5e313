from trading_lab.mlflow_server import server_argv


def test_no_secret_is_on_the_command_line():
    assert not any("postgresql" in word for word in server_argv(5000))


def test_artifacts_are_proxied_from_the_volume():
    argv = server_argv(5000)
    assert argv[argv.index("--artifacts-destination") + 1] == "/mlartifacts"
