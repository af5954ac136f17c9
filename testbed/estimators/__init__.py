"""What the uplink can carry, estimated from what a device can measure. One file each."""

from testbed.registry import Registry

estimators = Registry("estimator")

estimators.register("conformal", "testbed.estimators.conformal:Conformal")
estimators.register("ewma", "testbed.estimators.ewma:Ewma")
estimators.register("ewma-pair", "testbed.estimators.ewma_pair:EwmaPair")
estimators.register("harmonic", "testbed.estimators.harmonic:Harmonic")
estimators.register("holt-winters", "testbed.estimators.holt_winters:HoltWinters")
estimators.register("kalman", "testbed.estimators.kalman:Kalman")
estimators.register("quantile", "testbed.estimators.quantile:Quantile")
estimators.register("regression", "testbed.estimators.regression:Regression")
estimators.register("robust", "testbed.estimators.robust:Robust")
