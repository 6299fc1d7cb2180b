"""BMIL on synthetic people in SYSU-MM01's layout."""

# half the neighbours, as for k1 and k2, because a person has fewer images than in SYSU-MM01 (10 visible, 6.5 infrared);
# all visible images, because a half would have about five of each person, hardly more than a core point needs
method = {"joint_k1": 16, "joint_k2": 4, "subset": 1.0}
