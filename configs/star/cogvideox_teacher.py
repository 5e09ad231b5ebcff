# cogvideox_5b.py as a teacher. Its sampler adds no noise, so that a clip's
# result follows from where it starts.
_base_ = 'cogvideox_5b.py'
model = dict(restore_options=dict(sampler='ddim'))
