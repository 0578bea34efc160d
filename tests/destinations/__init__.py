"""Tests of the places where archives are kept."""
