"""Tests of buying: checkout, the page of an order, finding it again, the demo payment page."""
