"""tensorflow.linalg: expm, and its derivatives by GradientTape and ForwardAccumulator."""

import tensorflow as tf


def expm(A):
    return tf.linalg.expm(tf.constant(A)).numpy()


def expm_vjp(A, G):
    A = tf.constant(A)
    with tf.GradientTape() as tape:
        tape.watch(A)
        value = tf.linalg.expm(A)
    return tape.gradient(value, A, tf.constant(G)).numpy()


def expm_frechet(A, E):
    A, E = tf.constant(A), tf.constant(E)
    with tf.autodiff.ForwardAccumulator(A, E) as accumulator:
        value = tf.linalg.expm(A)
    return accumulator.jvp(value).numpy()
