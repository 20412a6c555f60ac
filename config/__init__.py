"""What is watched, how often, and where the record is kept: the TOML file and its schema."""

from config.explaining import Problem
from config.loading import ConfigError, load
from config.schema import Config

__all__ = ["Config", "ConfigError", "Problem", "load"]
