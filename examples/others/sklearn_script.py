"""A script for scikit-learn, as its users write it. A line that was changed has what it was beside it."""

from scipy.stats import loguniform, randint
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tunesmith import TunesmithSearchCV  # was: from sklearn.model_selection import ...

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
pipeline = Pipeline(
    [("scale", StandardScaler()), ("forest", RandomForestClassifier(random_state=0))]
)
space = {
    "scale": ["passthrough", StandardScaler()],
    "forest__n_estimators": randint(5, 30),
    "forest__max_features": loguniform(0.05, 1.0),
    "forest__max_depth": [None, 4, 8],
}
search = TunesmithSearchCV(
    pipeline, space, n_iter=8, cv=3, random_state=0
)  # was: RandomizedSearchCV
search.fit(X_train, y_train)
print(search.best_score_, search.score(X_test, y_test), search.best_params_)
